package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What asking for the driver touches: in a process with one that says what is called. */
@WithoutDevice
class CudaDriverProbeTest {
  private static final String CALLED = "called ";

  @TempDir Path directory;

  /** Run in that process. */
  public static void main(String[] arguments) {
    System.out.println(CudaDriver.unavailabilityCause());
    System.out.println(CudaDevice.all());
    System.out.println(new CudaBackendProvider().devices());
  }

  @Test
  void asksForTheVersionAndTheDevicesAndChangesNothing() throws Exception {
    compileDriver();
    List<String> lines =
        run(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--enable-native-access=ALL-UNNAMED",
                "-Dorg.bytedeco.javacpp.cachedir=" + directory.resolve("cache"),
                "-cp",
                System.getProperty("java.class.path"),
                CudaDriverProbeTest.class.getName()));
    String device = "cuda:0: Some GPU, compute capability 9.9, 9 multiprocessors, 0.0 GiB";
    assertThat(lines).containsOnlyOnce("null").contains("[" + device + "]");
    assertThat(
            lines.stream()
                .filter(line -> line.startsWith(CALLED))
                .map(line -> line.substring(CALLED.length()))
                .distinct())
        .containsExactlyInAnyOrder(
            "cuDriverGetVersion",
            "cuInit",
            "cuDeviceGetCount",
            "cuDeviceGet",
            "cuDeviceGetName",
            "cuDeviceTotalMem_v2",
            "cuDeviceGetAttribute");
  }

  private void compileDriver() throws IOException, InterruptedException {
    String source =
        """
        #include <cstdio>
        #include <cstring>
        static void called(const char* name) { std::printf("called %s\\n", name); std::fflush(stdout); }
        #define ANSWER(name, parameters, body) extern "C" int name parameters { called(#name); body; return 0; }
        ANSWER(cuDriverGetVersion, (int* version), *version = 13000)
        ANSWER(cuInit, (unsigned), )
        ANSWER(cuDeviceGetCount, (int* count), *count = 1)
        ANSWER(cuDeviceGet, (int* device, int ordinal), *device = ordinal)
        ANSWER(cuDeviceGetName, (char* name, int, int), std::strcpy(name, "Some GPU"))
        ANSWER(cuDeviceTotalMem_v2, (size_t* bytes, int), *bytes = 1)
        ANSWER(cuDeviceGetAttribute, (int* value, int, int), *value = 9)
        """;
    String others =
        CudaDriver.FUNCTIONS.stream()
            .filter(name -> !source.contains("ANSWER(" + name + ","))
            .map(name -> "ANSWER(" + name + ", (), )\n")
            .collect(Collectors.joining());
    Path file = Files.writeString(directory.resolve("driver.cpp"), source + others);
    run(
        List.of(
            "g++",
            "-shared",
            "-fPIC",
            "-Wl,-soname,libcuda.so.1",
            "-o",
            directory.resolve("libcuda.so.1").toString(),
            file.toString()));
    Path runtime = GpuSim.directory().resolve("libcudart.so.13");
    if (Files.exists(runtime)) // else the toolkit's is found
    Files.copy(runtime, directory.resolve("libcudart.so.13"), StandardCopyOption.REPLACE_EXISTING);
  }

  private List<String> run(List<String> command) throws IOException, InterruptedException {
    Path output = directory.resolve("output.txt");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile());
    builder.environment().put("LD_LIBRARY_PATH", directory.toString());
    int status = builder.start().waitFor();
    List<String> lines = Files.readAllLines(output);
    assertThat(status).as(String.join("\n", lines)).isZero();
    return lines;
  }
}
