package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.winnow.DType;
import org.winnow.Tensor;

class PerplexityTest {
  /** The figures that the page of the trained model gives for the whole held-out text. */
  @Test
  @Tag("slow")
  void theTrainedModelPredictsHeldOutTextAsItsPageSays() throws IOException {
    try (LanguageModel model =
        LanguageModel.open(Goldens.kjvMoe(), LoadOptions.defaults().withActivations(DType.F32))) {
      String text = Files.readString(Goldens.kjvMoe().resolve("heldout.txt"));
      int[] ids = model.tokenizer().encode(text, false);
      assertThat(ids).hasSize(27_340);
      long bytes = Perplexity.textBytes(model, ids);
      assertThat(bytes).isEqualTo(93_505);
      Perplexity long1024 = Perplexity.of(model, ids, bytes, 1024, 512, (scored, total) -> {});
      assertThat(long1024.tokensScored()).isEqualTo(27_339);
      assertThat(long1024.perToken()).isCloseTo(18.075, within(0.0005));
      assertThat(long1024.bitsPerByte()).isCloseTo(1.2210, within(0.00005));
      assertThat(Perplexity.of(model, ids, bytes, 257, 256, (scored, total) -> {}).perToken())
          .isCloseTo(18.649, within(0.0005));
    }
  }

  /** The bound of the whole text, on its beginning. */
  @Test
  void activationsInBf16PredictAsWellAsInF32() throws IOException {
    double inF32 = beginning(DType.F32);
    assertThat(beginning(DType.BF16)).isCloseTo(inF32, withinPercentage(0.1)).isNotEqualTo(inF32);
  }

  private static double beginning(DType activations) throws IOException {
    LoadOptions options = LoadOptions.defaults().withActivations(activations);
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), options)) {
      String text = Files.readString(Goldens.kjvMoe().resolve("heldout.txt"));
      int[] ids = Arrays.copyOf(model.tokenizer().encode(text, false), 2049);
      return Perplexity.of(model, ids, 1, 1024, 512, (scored, total) -> {}).perToken();
    }
  }

  @Test
  void everyTokenButTheFirstIsScoredOnceWithTheContextOfItsWindow() {
    int[] ids = new int[150];
    for (int i = 0; i < ids.length; i++) ids[i] = (i * 7919 + 13) % 2048;
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), LoadOptions.defaults())) {
      double expected = 0;
      for (int target = 1; target < ids.length; target++) {
        int start = 0; // the first window that holds the target
        while (start + 40 <= target) start += 15;
        expected -= logProbability(model, Arrays.copyOfRange(ids, start, target), ids[target]);
      }
      int[] last = new int[2];
      Perplexity found =
          Perplexity.of(
              model,
              ids,
              600,
              40,
              15,
              (scored, total) -> {
                assertThat(scored).isGreaterThan(last[0]);
                last[0] = scored;
                last[1] = total;
              });
      assertThat(found.tokensScored()).isEqualTo(149);
      assertThat(last[0]).isEqualTo(149);
      assertThat(last[1]).isEqualTo(149);
      // The same logits, summed in another order.
      assertThat(found.nats()).isCloseTo(expected, within(1e-9 * expected));
      assertThat(found.perToken())
          .isCloseTo(Math.exp(expected / 149), within(1e-9 * found.perToken()));
      assertThat(found.bitsPerByte()).isCloseTo(expected / Math.log(2) / 600, within(1e-9));
    }
  }

  private static double logProbability(LanguageModel model, int[] context, int target) {
    double[] result = new double[1];
    model.forward(
        context,
        context.length - 1,
        new ForwardListener() {
          @Override
          public void onLogits(int firstPosition, Tensor logits) {
            assertThat(firstPosition).isEqualTo(context.length - 1);
            float[] row = logits.toFloatArray();
            double sum = 0;
            for (float value : row) sum += Math.exp(value);
            result[0] = row[target] - Math.log(sum);
          }
        });
    return result[0];
  }

  @Test
  void refusesWindowsThatCannotBe() {
    try (LanguageModel model =
        LanguageModel.open(Goldens.folder("llama"), LoadOptions.defaults())) {
      assertThatThrownBy(() -> Perplexity.of(model, new int[1], 1, 8, 4, (scored, total) -> {}))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> Perplexity.of(model, new int[9], 1, 1, 1, (scored, total) -> {}))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> Perplexity.of(model, new int[9], 1, 8, 8, (scored, total) -> {}))
          .isInstanceOf(IllegalArgumentException.class);
      assertThatThrownBy(() -> Perplexity.of(model, new int[9], 1, 8, 0, (scored, total) -> {}))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
