package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LeakTest {
  /**
   * Half a MiB per opening, twice the noise seen; weights, experts, or the keys and values of a
   * session are more than 1 MB each.
   */
  private static final long TOLERANCE_BYTES = 25 << 20;

  @Test
  void openingAndClosingManyTimesLeavesNothingBehind() throws IOException {
    for (int i = 0; i < 10; i++) openAndUse();
    long files = OpenFiles.count();
    long threads = OpenFiles.threads();
    long memory = settledMemory();
    long heap = Runtime.getRuntime().totalMemory();
    for (int i = 0; i < 50; i++) openAndUse();
    assertEquals(files, OpenFiles.count());
    assertTrue(
        OpenFiles.threads() <= threads + 10,
        () -> "threads: " + threads); // a model has 4, so a leak would be 200
    long after = settledMemory();
    long heapGrown = Math.max(0, Runtime.getRuntime().totalMemory() - heap);
    long grown = after - memory - heapGrown;
    assertTrue(grown <= TOLERANCE_BYTES, () -> "grown by " + grown + " bytes");
  }

  private static void openAndUse() {
    LoadOptions options =
        LoadOptions.defaults()
            .withBudget(ExpertBudget.ofShare(0.5))
            .withReadAhead(true)
            .withThreads(2);
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), options)) {
      model
          .newSession()
          .generate(
              new int[250], GenerateOptions.greedy(3).withStopIds(Set.of()), TokenListener.NONE);
      assertThrows(
          IllegalStateException.class,
          () ->
              model.generate(
                  new int[250],
                  GenerateOptions.greedy(3),
                  (id, text) -> {
                    throw new IllegalStateException();
                  }));
    }
  }

  private static long settledMemory() throws IOException {
    System.gc();
    return OpenFiles.residentBytes();
  }
}
