package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LeakTest {
  /**
   * Half a MiB per opening, which is twice the noise that was measured. A leak of the weights, the
   * experts or the key-value cache of a session would be more than 1 MB per opening.
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
    // Fewer, where a model that another test has forgotten was collected meanwhile.
    assertThat(OpenFiles.count()).isLessThanOrEqualTo(files);
    // A model has 4 threads, so a leak would add 200.
    assertThat(OpenFiles.threads()).isLessThanOrEqualTo(threads + 10);
    long after = settledMemory();
    long heapGrown = Math.max(0, Runtime.getRuntime().totalMemory() - heap);
    long grown = after - memory - heapGrown;
    assertThat(grown).as("growth in bytes").isLessThanOrEqualTo(TOLERANCE_BYTES);
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
      assertThatThrownBy(
              () ->
                  model.generate(
                      new int[250],
                      GenerateOptions.greedy(3),
                      (id, text) -> {
                        throw new IllegalStateException();
                      }))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  private static long settledMemory() throws IOException {
    System.gc();
    return OpenFiles.residentBytes();
  }
}
