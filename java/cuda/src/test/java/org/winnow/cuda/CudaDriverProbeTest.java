package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Path;
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
    assumeTrue(KernelModule.absenceCause() == null, KernelModule::absenceCause);
    FakeDriver driver = new FakeDriver(directory);
    driver.compile(source());
    List<String> lines =
        driver.runJava(CudaDriverProbeTest.class, directory.resolve("cache").toString());
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

  private static String source() {
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
    return source + others;
  }
}
