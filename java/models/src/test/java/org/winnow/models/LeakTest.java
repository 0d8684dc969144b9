package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Set;
import org.junit.jupiter.api.Test;

class LeakTest {
  /**
   * Half a MiB per opening. A leak of the weights, the experts or the key-value cache of a session
   * would be more than 1 MB per opening.
   */
  private static final int OPENINGS = 25;

  private static final long TOLERANCE_BYTES = OPENINGS << 19;

  @Test
  void openingAndClosingManyTimesLeavesNoFileOrThreadBehind() throws IOException {
    for (int i = 0; i < 10; i++) openAndUse();
    long files = OpenFiles.count();
    long threads = OpenFiles.threads();
    for (int i = 0; i < 50; i++) openAndUse();
    // Fewer, where a model that another test has forgotten was collected meanwhile.
    assertThat(OpenFiles.count()).isLessThanOrEqualTo(files);
    // A model has 4 threads, so a leak would add 200.
    assertThat(OpenFiles.threads()).isLessThanOrEqualTo(threads + 10);
  }

  @Test
  void openingAndClosingManyTimesLeavesNoMemoryBehind() throws Exception {
    assertThat(OwnProcess.numberPrintedBy(LeakTest.class)).isLessThanOrEqualTo(TOLERANCE_BYTES);
  }

  /**
   * Prints the least number of bytes by which {@link #OPENINGS} models that were opened and closed
   * let the process grow. A leak grows each time; what the JVM compiles comes once.
   */
  public static void main(String[] args) throws IOException {
    for (int i = 0; i < 30; i++) openAndUse();
    long least = Long.MAX_VALUE;
    for (int round = 0; round < 3; round++) {
      long memory = settledMemory();
      for (int i = 0; i < OPENINGS; i++) openAndUse();
      least = Math.min(least, settledMemory() - memory);
    }
    System.out.println(least);
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
