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
import org.junit.jupiter.params.provider.CsvSource;

class VerifyOperationTest {
  static final Path CASES = Path.of("src/test/resources/operations").toAbsolutePath().normalize();

  private static final Path BIAS = CASES.resolve("multiplicative_layer/bias.safetensors");
  private static final Path ARGMAX = CASES.resolve("sparse_output_layer/odd.safetensors");

  @TempDir Path folder;

  @Test
  void everyCasePasses() throws IOException {
    long files;
    try (var below = Files.walk(CASES)) {
      files = below.filter(Files::isRegularFile).count();
    }
    CapturedRun run = CapturedRun.of("verify", "--operation", CASES, "--threads", "2");
    assertThat(run.exitCode()).as(run.out() + run.err()).isZero();
    assertThat(run.out())
        .contains("passed, " + files + " of " + files + " cases, backend cpu")
        .containsPattern("permutation.safetensors +expected.output +0.00e\\+00 +0.0e\\+00 .* ok")
        .containsPattern("odd.safetensors +expected.argmax +0 differ +exact .* ok");
  }

  @Test
  void theDocumentHasEveryTensor() throws IOException {
    CapturedRun run = CapturedRun.of("verify", "--operation", BIAS, ARGMAX, "--json");
    assertThat(run.exitCode()).as(run.err()).isZero();
    Map<?, ?> document = JsonTree.parse(run.out());
    assertThat(document.get("passed")).isEqualTo(true);
    assertThat((List<?>) document.get("cases")).hasSize(2);
    assertThat(run.out()).contains("\"different_elements\"", "\"relative_error\"", "\"tolerance\"");
  }

  @Test
  void aChangedValueFails() throws IOException {
    ByteBuffer bytes = bytes(BIAS);
    int at = begin(bytes, "expected.output") + Float.BYTES * 7;
    bytes.putFloat(at, bytes.getFloat(at) + 1e-4f);
    CapturedRun run = CapturedRun.of("verify", "--operation", written(bytes), ARGMAX);
    assertThat(run.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.out())
        .containsPattern("case.safetensors +expected.output .* 7 +TOO LARGE")
        .contains("FAILED, 1 of 2 cases");
    bytes.putFloat(at, Float.NaN);
    assertThat(CapturedRun.of("verify", "--operation", written(bytes)).exitCode())
        .isEqualTo(ExitCode.CHECK_FAILED);
  }

  @Test
  void aChangedDecisionFails() throws IOException {
    ByteBuffer bytes = bytes(ARGMAX);
    int at = begin(bytes, "expected.argmax") + Integer.BYTES * 3;
    bytes.putInt(at, bytes.getInt(at) ^ 1);
    CapturedRun run = CapturedRun.of("verify", "--operation", written(bytes));
    assertThat(run.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(run.out()).containsPattern("expected.argmax +1 differ +exact +3 +DIFFERENT");
  }

  @Test
  void whatIsNotComparedFails() throws IOException {
    CapturedRun run = renamed(BIAS, "input.hidden", "input.hidden");
    assertThat(run.exitCode()).as(run.err()).isZero();
    CapturedRun more =
        renamed(
            CASES.resolve("multiplicative_layer/permutation.safetensors"),
            "input.permutation",
            "expected.permute1");
    assertThat(more.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(more.out()).containsPattern("expected.permute1 .* NOT COMPARED");
    CapturedRun unknown = renamed(BIAS, "\"multiplicative_layer\"", "\"additive_layer______\"");
    assertThat(unknown.exitCode()).isEqualTo(ExitCode.CHECK_FAILED);
    assertThat(unknown.out())
        .contains("no check for operation additive_layer______, mode forward: ", "FAILED, 0 of 1");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"weight.d\"|\"weight.x\"|weight.d: expected this tensor, found none",
        "\"modules\": \"6\"|\"modules\": \"5\"|weight.d: expected [48, 5], found [48, 6]",
        "\"modules\": \"6\"|\"modules\": \"x\"|modules: expected an integer from 1 to 2^31 - 1, found \"x\"",
        "\"modules\": \"6\"|\"moduleX\": \"6\"|modules: expected a string, found nothing",
        "\"operation\"|\"operatioX\"|operation: expected a string, found nothing",
        "\"tolerance.output\": \"2.2e-06\"|\"tolerance.output\": \"2.2e-xx\"|"
            + "tolerance.output: expected a number that is not negative, found \"2.2e-xx\"",
      })
  void whatIsMalformedIsNamed(String old, String replacement, String message) throws IOException {
    CapturedRun run = renamed(BIAS, old, replacement);
    assertThat(run.exitCode()).as(run.out() + run.err()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).startsWith("winnow: ").contains("case.safetensors: ", message);
    assertThat(run.err().lines()).hasSize(1);
  }

  @Test
  void wrongUsageIsNamed() {
    assertUsage("--budget has no effect with --operation", "--operation", BIAS, "--budget", "5%");
    assertUsage("PATH has no effect with --operation", BIAS, "--operation", BIAS);
    assertUsage("--backend: there is no gpu", "--operation", BIAS, "--backend", "gpu");
    assertUsage("missing: PATH and GOLDEN, or --operation CASE");
    CapturedRun empty = CapturedRun.of("verify", "--operation", folder);
    assertThat(empty.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(empty.err()).contains("expected files that end in .safetensors, found none");
  }

  private static void assertUsage(String message, Object... arguments) {
    Object[] all = new Object[arguments.length + 1];
    all[0] = "verify";
    System.arraycopy(arguments, 0, all, 1, arguments.length);
    CapturedRun run = CapturedRun.of(all);
    assertThat(run.exitCode()).as(run.out() + run.err()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err()).contains(message);
  }

  /** A run on the case with a part of its header replaced by one of the same length. */
  private CapturedRun renamed(Path file, String old, String replacement) throws IOException {
    ByteBuffer bytes = bytes(file);
    int headerBytes = (int) bytes.getLong(0);
    String header = new String(bytes.array(), 8, headerBytes, StandardCharsets.UTF_8);
    String found = header.contains(old) ? old : old.replace(": ", ":");
    assertThat(header).contains(found);
    String put = found.equals(old) ? replacement : replacement.replace(": ", ":");
    assertThat(put).hasSameSizeAs(found);
    byte[] changed = header.replace(found, put).getBytes(StandardCharsets.UTF_8);
    System.arraycopy(changed, 0, bytes.array(), 8, changed.length);
    return CapturedRun.of("verify", "--operation", written(bytes));
  }

  private static ByteBuffer bytes(Path file) throws IOException {
    return ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int begin(ByteBuffer bytes, String tensor) throws IOException {
    int headerBytes = (int) bytes.getLong(0);
    Map<?, ?> header =
        JsonTree.parse(new String(bytes.array(), 8, headerBytes, StandardCharsets.UTF_8));
    List<?> range = (List<?>) ((Map<?, ?>) header.get(tensor)).get("data_offsets");
    return 8 + headerBytes + ((Long) range.get(0)).intValue();
  }

  private Path written(ByteBuffer bytes) throws IOException {
    return Files.write(folder.resolve("case.safetensors"), bytes.array());
  }
}
