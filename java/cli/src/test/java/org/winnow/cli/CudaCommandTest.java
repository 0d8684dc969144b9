package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The command with a GPU. The GPU is the stand-in that java/cuda builds for its tests. It is found
 * by its name, as a user's driver is.
 */
class CudaCommandTest {
  private static final Path STAND_IN =
      Path.of("../cuda/target/gpusim").toAbsolutePath().normalize();

  @TempDir Path folder;

  @BeforeAll
  static void kernelsWereBuilt() {
    assumeTrue(
        Main.class.getResource("/org/winnow/cuda/kernels/add_cuda.ptx") != null,
        "the kernels were not built: there was no nvcc at that time");
    assertThat(STAND_IN.resolve("libcuda.so.1")).exists();
  }

  private String run(int exitCode, String... arguments) throws IOException, InterruptedException {
    ProcessBuilder builder =
        CommandProcess.of(
                // JavaCPP keeps links in its cache to the libraries that it finds
                List.of("-Dorg.bytedeco.javacpp.cachedir=" + folder.resolve("javacpp")),
                List.of(arguments))
            .redirectError(folder.resolve("err").toFile());
    builder.environment().put("LD_LIBRARY_PATH", STAND_IN.toString());
    Process process = builder.start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(err()).isEqualTo(exitCode);
    return out;
  }

  private String err() throws IOException {
    return Files.readString(folder.resolve("err"));
  }

  @Test
  void everyCaseOfAnOperationPasses() throws Exception {
    String out =
        run(0, "verify", "--operation", VerifyOperationTest.CASES.toString(), "--backend", "cuda");
    assertThat(out).contains("passed, ", "backend cuda");
  }

  @Test
  void generatesTheSameTokensAsTheCpu() throws Exception {
    String[] arguments = {
      "generate",
      Shipped.MODEL.toString(),
      "--prompt-ids",
      "0,48,83",
      "--max-tokens",
      "4",
      "--budget",
      "25%",
      "--print-ids",
      "--backend",
      "cuda"
    };
    String found = run(0, arguments);
    assertThat(err()).contains("peak memory").doesNotContain("WARNING", "Exception");
    arguments[arguments.length - 1] = "cpu";
    assertThat(found).isEqualTo(CapturedRun.of((Object[]) arguments).out()).matches("[0-9,]+\n");
  }

  @Test
  void verifiesAGolden() throws Exception {
    Path golden = Shipped.golden("mixtral");
    String out =
        run(
            0,
            "verify",
            golden.toString(),
            golden.resolve("golden.safetensors").toString(),
            "--backend",
            "cuda");
    assertThat(out).contains("logits").doesNotContain("FAILED");
  }

  @Test
  void doctorListsTheDevice() throws Exception {
    assertThat(run(0, "doctor")).contains("cuda:0: ").doesNotContain("cuda (unavailable)");
  }
}
