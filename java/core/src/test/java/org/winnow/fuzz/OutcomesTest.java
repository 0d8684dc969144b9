package org.winnow.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.BudgetException;

/** Which exceptions the fuzzer lets pass. */
class OutcomesTest {
  @TempDir Path folder;
  private Outcomes outcomes;
  private boolean nearlyFull;

  @BeforeEach
  void open() {
    Map<String, Set<String>> documented =
        Map.of("Some.method()", Set.of("ArrayIndexOutOfBoundsException"));
    outcomes = new Outcomes(documented, folder.resolve("findings"), () -> nearlyFull);
  }

  @Test
  void documentedExceptionsPass() {
    assertThat(isFinding(new IllegalArgumentException(), false)).isFalse();
    assertThat(isFinding(new IllegalStateException(), false)).isFalse();
    assertThat(isFinding(new BudgetException("budget", 2, 1), false)).isFalse();
    assertThat(isFinding(new ArrayIndexOutOfBoundsException(), false)).isFalse();
    assertThat(isFinding(new NullPointerException(), true)).isFalse();
    assertThat(isFinding(new Hostile.Thrown("of the caller's own"), false)).isFalse();
  }

  @Test
  void memoryMayRunOutWhereItIsNearlyFull() {
    nearlyFull = true;
    assertThat(isFinding(new OutOfMemoryError("no memory for 24 bytes"), false)).isFalse();
    nearlyFull = false;
    assertThat(isFinding(new OutOfMemoryError("no memory for 24 bytes"), false)).isTrue();
  }

  @Test
  void othersAreFindings() {
    assertThat(isFinding(new NullPointerException(), false)).isTrue();
    assertThat(isFinding(new ClassCastException(), false)).isTrue();
    assertThat(isFinding(new ArithmeticException(), false)).isTrue();
    assertThat(isFinding(new RuntimeException("of a native call"), false)).isTrue();
    assertThat(isFinding(new StackOverflowError(), false)).isTrue();
    assertThat(isFinding(new OutOfMemoryError("no memory for 17196646400 bytes"), false)).isFalse();
    assertThat(isFinding(new OutOfMemoryError("no memory for 4096 bytes"), false)).isTrue();
  }

  private boolean isFinding(Throwable thrown, boolean hasNull) {
    try {
      Path file = folder.resolve("findings");
      long before = Files.exists(file) ? Files.size(file) : 0;
      outcomes.thrown("Some.method()", thrown, hasNull, false, "a call");
      return Files.exists(file) && Files.size(file) > before;
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
