package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;

/**
 * A libcuda.so.1 of a few lines of C++, and processes that find it as they would a driver.
 *
 * @param directory where it lies
 */
record FakeDriver(Path directory) {
  void compile(String source) throws IOException, InterruptedException {
    Path file = Files.writeString(directory.resolve("driver.cpp"), source);
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

  /** What that program prints. */
  List<String> runJava(Class<?> main, String cacheDirectory)
      throws IOException, InterruptedException {
    return run(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "--enable-native-access=ALL-UNNAMED",
            "-Dorg.bytedeco.javacpp.cachedir=" + cacheDirectory,
            "-cp",
            System.getProperty("java.class.path"),
            main.getName()));
  }

  /** What that command prints. */
  List<String> run(List<String> command) throws IOException, InterruptedException {
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
