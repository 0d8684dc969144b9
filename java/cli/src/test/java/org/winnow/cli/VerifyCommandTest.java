package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VerifyCommandTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"llama", "qwen2_moe", "gpt_oss"})
  void whatAgreesPasses(String family) {
    CapturedRun run =
        CapturedRun.of(
            "verify", Shipped.golden(family), Shipped.golden(family).resolve("golden.safetensors"));
    assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
    assertThat(run.out())
        .contains("hidden.0", "logits", "greedy tokens: all 48 equal", "passed, tolerance 5.0e-06")
        .doesNotContain("TOO LARGE");
  }

  @Test
  void theShippedModelPassesInAQuarterOfItsExpertsMemory() {
    CapturedRun run =
        CapturedRun.of(
            "verify",
            Shipped.MODEL,
            Shipped.MODEL.resolve("golden.safetensors"),
            "--budget",
            "25%");
    assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
    assertThat(run.out())
        .contains("router_logits", "greedy tokens: all 96 equal", ", activations f32");
  }

  @Test
  void activationsInBf16AreFurtherFromAReferenceInF32() {
    CapturedRun run =
        CapturedRun.of(
            "verify",
            Shipped.MODEL,
            Shipped.MODEL.resolve("golden.safetensors"),
            "--activations",
            "bf16");
    assertThat(run.exitCode()).as(run.out() + run.err()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.out()).contains("TOO LARGE", ", activations bf16");
    CapturedRun inF32 = // its matrices are f32
        CapturedRun.of(
            "verify",
            Shipped.golden("llama"),
            Shipped.golden("llama").resolve("golden.safetensors"),
            "--activations",
            "bf16");
    assertThat(inF32.exitCode()).as(inF32.out() + inF32.err()).isZero();
    assertThat(inF32.out()).contains(", activations f32");
  }

  @Test
  void oneChangedElementFails() throws IOException {
    Path changed = changed("logits", Float.BYTES * 1000, 0.5f);
    CapturedRun run = CapturedRun.of("verify", Shipped.golden("llama"), changed);
    assertThat(run.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.out())
        .contains("FAILED")
        .containsPattern("logits .* 1,000  TOO LARGE")
        .containsPattern("hidden.1 .* ok");
    CapturedRun tolerant =
        CapturedRun.of("verify", Shipped.golden("llama"), changed, "--tolerance", "1e9");
    assertThat(tolerant.exitCode()).isZero();
  }

  @Test
  void theFirstDifferentTokenIsNamed() throws IOException {
    CapturedRun run =
        CapturedRun.of(
            "verify",
            Shipped.golden("llama"),
            changed("greedy", Long.BYTES * 30, Float.intBitsToFloat(1)));
    assertThat(run.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.out())
        .contains("greedy tokens: first difference in row 0, token 30: expected 1, found ");
  }

  @Test
  void badInputIsOneLine() {
    Path golden = Shipped.golden("llama").resolve("golden.safetensors");
    for (List<Path> arguments :
        List.of(
            List.of(Shipped.golden("llama"), folder.resolve("absent")),
            List.of(folder, golden),
            List.of(Shipped.MODEL, golden))) {
      CapturedRun run = CapturedRun.of("verify", arguments.get(0), arguments.get(1));
      assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.BAD_INPUT);
      assertThat(run.err()).startsWith("winnow: ").contains("expected", "found");
      assertThat(run.err().lines()).hasSize(1);
      assertThat(run.out()).isEmpty();
    }
    assertThat(
            CapturedRun.of("verify", Shipped.golden("llama"), golden, "--tolerance", "-1")
                .exitCode())
        .isEqualTo(ExitCode.USAGE);
    assertThat(CapturedRun.of("verify", Shipped.golden("llama")).exitCode())
        .isEqualTo(ExitCode.USAGE);
  }

  /** The reference of llama with four bytes of a tensor replaced. */
  private Path changed(String tensor, int offset, float value) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.wrap(Files.readAllBytes(Shipped.golden("llama").resolve("golden.safetensors")))
            .order(ByteOrder.LITTLE_ENDIAN);
    int headerBytes = (int) bytes.getLong(0);
    Map<?, ?> header =
        JsonTree.parse(new String(bytes.array(), 8, headerBytes, StandardCharsets.UTF_8));
    long begin = (Long) ((List<?>) ((Map<?, ?>) header.get(tensor)).get("data_offsets")).get(0);
    bytes.putFloat(8 + headerBytes + (int) begin + offset, value);
    return Files.write(folder.resolve("changed.safetensors"), bytes.array());
  }
}
