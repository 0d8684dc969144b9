package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.winnow.Tensor;

class PerplexityTest {
  /** What the trained model's page says of the whole held-out text. */
  @Test
  @Tag("slow")
  void theTrainedModelPredictsHeldOutTextAsItsPageSays() throws IOException {
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), LoadOptions.defaults())) {
      String text = Files.readString(Goldens.kjvMoe().resolve("heldout.txt"));
      int[] ids = model.tokenizer().encode(text, false);
      assertEquals(27_340, ids.length);
      long bytes = Perplexity.textBytes(model, ids);
      assertEquals(93_505, bytes);
      Perplexity long1024 = Perplexity.of(model, ids, bytes, 1024, 512, (scored, total) -> {});
      assertEquals(27_339, long1024.tokensScored());
      assertEquals(18.075, long1024.perToken(), 0.0005);
      assertEquals(1.2210, long1024.bitsPerByte(), 0.00005);
      assertEquals(
          18.649,
          Perplexity.of(model, ids, bytes, 257, 256, (scored, total) -> {}).perToken(),
          0.0005);
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
                assertTrue(scored > last[0]);
                last[0] = scored;
                last[1] = total;
              });
      assertEquals(149, found.tokensScored());
      assertEquals(149, last[0]);
      assertEquals(149, last[1]);
      assertEquals(
          expected, found.nats(), 1e-9 * expected); // the same logits, summed in another order
      assertEquals(Math.exp(expected / 149), found.perToken(), 1e-9 * found.perToken());
      assertEquals(expected / Math.log(2) / 600, found.bitsPerByte(), 1e-9);
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
            assertEquals(context.length - 1, firstPosition);
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
      assertThrows(
          IllegalArgumentException.class,
          () -> Perplexity.of(model, new int[1], 1, 8, 4, (scored, total) -> {}));
      assertThrows(
          IllegalArgumentException.class,
          () -> Perplexity.of(model, new int[9], 1, 1, 1, (scored, total) -> {}));
      assertThrows(
          IllegalArgumentException.class,
          () -> Perplexity.of(model, new int[9], 1, 8, 8, (scored, total) -> {}));
      assertThrows(
          IllegalArgumentException.class,
          () -> Perplexity.of(model, new int[9], 1, 8, 0, (scored, total) -> {}));
    }
  }
}
