package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.Backend;
import org.winnow.BackendProvider;
import org.winnow.Tensor;
import org.winnow.op.Add;
import org.winnow.op.Clamp;

class CudaBackendTest {
  @TempDir Path directory;

  @Test
  void isPreferredWhereItIsAvailable() {
    BackendProvider first = Backend.providers().get(0);
    assertThat(first.name()).isEqualTo("cuda");
    assertThat(first.unavailabilityCause()).isNull();
    assertThat(first.devices()).hasSameSizeAs(CudaDevice.all());
    try (Backend backend = Backend.require("cuda")) {
      assertThat(backend.name()).isEqualTo("cuda");
      assertThat(backend.description()).isEqualTo(first.devices().get(0)).startsWith("cuda:0: ");
      assertThat(backend.memory().name()).isEqualTo("cuda:0");
    }
  }

  @Test
  void refusesWhatIsNoDevice() {
    int numDevices = CudaDevice.all().size();
    assertThatThrownBy(() -> new CudaBackend(numDevices, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("device must lie in [0, " + numDevices + "), found " + numDevices);
    assertThatThrownBy(() -> new CudaBackend(0, -1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("budgetBytes must not be negative, found -1");
  }

  @Test
  void namesTheKernelThatIsNotThere() {
    try (var backend = new CudaBackend()) {
      CudaContext context = backend.context();
      Kernel missing = context.kernel("add", "add_f33");
      try (var entry = context.enter("a test")) {
        CudaStream stream = entry.stream();
        assertThatThrownBy(() -> missing.launch(stream, 1, 1, 1, 1, 0, stream.arguments().begin()))
            .isInstanceOf(CudaException.class)
            .hasMessageStartingWith("cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND (500), ")
            .hasMessageEndingWith(": add_f33");
      }
    }
  }

  @Test
  void saysWhatTheDriverSaysOfALaunch() {
    try (var backend = new CudaBackend();
        Tensor values = backend.f32(1, 4)) {
      CudaContext context = backend.context();
      Kernel kernel = context.kernel("clamp", "clamp_f32");
      try (var entry = context.enter("a test")) {
        CudaStream stream = entry.stream();
        assertThatThrownBy(
                () -> kernel.launch(stream, 1, 1, 1, 2048, 0, stream.arguments().begin()))
            .isInstanceOf(CudaException.class)
            .hasMessageStartingWith("cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE (1), ")
            .hasMessageEndingWith(
                ": clamp_f32, grid 1 x 1 x 1, block 2048, 0 bytes of shared memory");
      }
      Clamp.run(backend, values, 1); // not a loss of the context
      assertThat(values.toFloatArray()).containsOnly(0);
    }
  }

  @Test
  void threadsShareABackend() throws InterruptedException {
    int numThreads = 4;
    try (var backend = new CudaBackend();
        Tensor one = backend.of(new float[] {1, 1, 1}, 1, 3);
        Tensor sum = backend.f32(1, 3)) {
      List<Throwable> failures = new ArrayList<>();
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < numThreads; t++) {
        Thread thread =
            new Thread(
                () -> {
                  for (int i = 0; i < 10; i++) Add.run(backend, sum, one);
                });
        thread.setUncaughtExceptionHandler(
            (failed, e) -> {
              synchronized (failures) {
                failures.add(e);
              }
            });
        threads.add(thread);
        thread.start();
      }
      for (Thread thread : threads) thread.join();
      assertThat(failures).isEmpty();
      assertThat(sum.toFloatArray()).containsOnly(10 * numThreads);
    }
  }

  /**
   * Runs in a separate process, because an illegal address on a GPU destroys the context of the
   * process.
   */
  @Test
  void anErrorThatLosesTheContextPoisonsTheBackend() throws Exception {
    List<String> lines = run(PoisonMain.class);
    assertThat(lines).hasSize(4);
    assertThat(lines.get(0)).matches("cu\\w+ failed: CUDA_ERROR_ILLEGAL_ADDRESS \\(700\\), .+");
    String later =
        "backend cuda:0 is unusable since " + lines.get(0) + " (found in reading from the device";
    assertThat(lines.get(1)).startsWith(later).endsWith("start the process anew");
    assertThat(lines.get(2)).isEqualTo(lines.get(1));
    assertThat(lines.get(3)).isEqualTo("closed");
  }

  /** Whoever finds the error first is told; all else is closed all the same. */
  @Test
  void aModelWhoseContextIsLostIsClosed() throws Exception {
    List<String> lines = run(PoisonedModelMain.class, "../../models/kjv-moe");
    lines.removeIf(line -> line.startsWith("SLF4J")); // the tokenizer's
    assertThat(lines).hasSize(5);
    assertThat(lines.get(0)).matches("cu\\w+ failed: CUDA_ERROR_ILLEGAL_ADDRESS \\(700\\), .+");
    assertThat(lines.subList(1, 5))
        .containsExactly("done", "session is closed", "session is closed", "0 readers");
  }

  /** Runs in a separate process, because other devices need another driver. */
  @Test
  void devicesAreEnumerated() throws Exception {
    assumeTrue(GpuSim.isLoaded(), GpuSim::cause);
    List<String> lines = run(DevicesMain.class);
    assertThat(lines).hasSize(5);
    assertThat(lines.get(0))
        .startsWith("cuda:0: ")
        .contains("compute capability 9.0, ")
        .endsWith("multiprocessors, 0.1 GiB");
    assertThat(lines.get(1)).isEqualTo(lines.get(0).replace("cuda:0", "cuda:1"));
    assertThat(lines.get(2))
        .isEqualTo("accumulator must lie in cuda:1's memory, found cuda:0's memory");
    assertThat(lines.get(3)).contains("cuda:1").contains("no memory for 41943040 bytes");
    assertThat(lines.get(4)).isEqualTo("done");
  }

  private List<String> run(Class<?> main, String... arguments) throws Exception {
    Path output = directory.resolve("output.txt");
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    for (String property :
        List.of("org.bytedeco.javacpp.cachedir", "winnow.gpusim", "winnow.test.driver")) {
      if (System.getProperty(property) != null)
        command.add("-D" + property + "=" + System.getProperty(property));
    }
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(List.of(arguments));
    int status =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start()
            .waitFor();
    List<String> lines = Files.readAllLines(output);
    assertThat(status).as(String.join("\n", lines)).isZero();
    return lines;
  }
}
