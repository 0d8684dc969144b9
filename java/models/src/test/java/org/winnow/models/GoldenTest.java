package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.DType;

/** Every family computes the same as the reference, element by element. */
class GoldenTest {
  // the references are themselves within 8e-7 of a computation in double precision
  private static final double TOLERANCE = 5e-6;

  private static final LoadOptions IN_F32 = LoadOptions.defaults().withActivations(DType.F32);

  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(
      strings = {"deepseek_v3", "gpt_oss", "llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"})
  void everyHiddenStateLogitAndGreedyTokenIsTheReferences(String family) {
    try (LanguageModel model = LanguageModel.open(Goldens.folder(family), IN_F32)) {
      Verifier.Report report =
          Verifier.compare(model, Goldens.folder(family).resolve("golden.safetensors"));
      assertThat(report.tensors()).as("hidden.0 to hidden.3 and logits").hasSize(5);
      assertThat(report.greedyTokens()).isEqualTo(48);
      assertThat(report.greedyDifference()).isNull();
      for (Verifier.TensorError error : report.tensors())
        assertThat(error.relativeError()).as(family + " " + error).isLessThanOrEqualTo(TOLERANCE);
      assertThat(report.passes(TOLERANCE)).isTrue();
      assertThat(report.ignored()).isEmpty();
    }
  }

  @Test
  void theTrainedModelComputesItsReferenceFromBf16Weights() {
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), IN_F32)) {
      Verifier.Report report =
          Verifier.compare(model, Goldens.kjvMoe().resolve("golden.safetensors"));
      assertThat(report.tensors())
          .extracting(Verifier.TensorError::name)
          .containsExactlyInAnyOrder("logits", "router_logits");
      assertThat(report.greedyTokens()).isEqualTo(96);
      assertThat(report.passes(TOLERANCE)).as(report.toString()).isTrue();
    }
  }

  @Test
  void anErrorAboveTheToleranceAnywhereIsSeen() {
    for (int element : new int[] {0, 12345, 2 * 48 * 512 - 1}) {
      TensorFile golden = golden();
      float largest = 0;
      for (float value : golden.tensors.get("logits").toFloats())
        largest = Math.max(largest, Math.abs(value));
      double shift = 2 * TOLERANCE * largest;
      golden.map("logits"::equals, logits -> add(logits, element, (float) shift));
      Verifier.Report report = compareLlama(golden);
      assertThat(report.passes(TOLERANCE)).isFalse();
      Verifier.TensorError error =
          report.tensors().stream()
              .filter(e -> e.name().equals("logits"))
              .findFirst()
              .orElseThrow();
      assertThat(error.worstIndex()).isEqualTo(element);
    }
  }

  @Test
  void aNanAndADifferentTokenAreSeen() {
    Verifier.Report withNan =
        compareLlama(golden().map("hidden.1"::equals, hidden -> add(hidden, 7, Float.NaN)));
    assertThat(withNan.passes(1e30)).isFalse();
    Verifier.Report report =
        compareLlama(
            golden()
                .map(
                    "greedy"::equals,
                    greedy -> {
                      ByteBuffer ids =
                          ByteBuffer.wrap(greedy.bytes().clone()).order(ByteOrder.LITTLE_ENDIAN);
                      ids.putLong(8 * (40 + 30), (ids.getLong(8 * (40 + 30)) + 1) % 512);
                      return new TensorFile.Stored("I64", greedy.shape(), ids.array());
                    }));
    assertThat(report.passes(TOLERANCE)).isFalse();
    assertThat(report.greedyDifference()).startsWith("row 1, token 30: expected ");
  }

  private TensorFile golden() {
    return TensorFile.read(Goldens.folder("llama").resolve("golden.safetensors"));
  }

  private Verifier.Report compareLlama(TensorFile golden) {
    try (LanguageModel model = LanguageModel.open(Goldens.folder("llama"), IN_F32)) {
      return Verifier.compare(model, golden.write(folder.resolve("golden.safetensors")));
    }
  }

  private static TensorFile.Stored add(TensorFile.Stored tensor, int element, float shift) {
    ByteBuffer values = ByteBuffer.wrap(tensor.bytes().clone()).order(ByteOrder.LITTLE_ENDIAN);
    values.putFloat(4 * element, values.getFloat(4 * element) + shift);
    return new TensorFile.Stored(tensor.type(), tensor.shape(), values.array());
  }
}
