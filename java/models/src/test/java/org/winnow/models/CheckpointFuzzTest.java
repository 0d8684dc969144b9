package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.CheckpointException;

/**
 * Whatever the files of a checkpoint hold, each case either opens or is refused with an exception
 * that names the file, what was expected and what was found. None takes more than a second, and
 * none allocates memory out of proportion to its files. A seed makes the same cases again.
 *
 * <p>System properties: {@code winnow.fuzz.files.seed}, {@code winnow.fuzz.files.cases} and {@code
 * winnow.fuzz.files.seconds} say which cases run and for how long.
 */
class CheckpointFuzzTest {
  private static final long SEED = Long.getLong("winnow.fuzz.files.seed", 1);
  private static final long CASES = Long.getLong("winnow.fuzz.files.cases", Long.MAX_VALUE);
  private static final long SECONDS = Long.getLong("winnow.fuzz.files.seconds", 120);

  /** Cases of a kind from which on the number of those that opened says something. */
  private static final long ENOUGH_CASES = 300;

  @TempDir Path folder;

  @Test
  void opensOrRefuses() throws IOException {
    FileFuzzer fuzzer = new FileFuzzer(SEED, FuzzTargets.all(folder));

    fuzzer.run(CASES, SECONDS);

    System.out.println(fuzzer.summary());
    assertThat(fuzzer.findings()).as("findings by the case that shows them").isEmpty();
    fuzzer
        .tallies()
        .forEach(
            (kind, tally) -> {
              if (tally.cases() < ENOUGH_CASES) return;
              // otherwise the changes are too coarse to get past the parser, or too fine to matter
              assertThat(tally.opened()).as("cases that opened: " + kind).isPositive();
              assertThat(tally.refused()).as("cases refused: " + kind).isPositive();
            });
  }

  @Test
  void anotherExceptionIsAFinding() throws IOException {
    assertThat(findings((random, mutator) -> Map.of().get(null)).keySet())
        .singleElement()
        .asString()
        .startsWith("NullPointerException at java.base/java.util.");
  }

  @Test
  void aLongMessageIsAFinding() throws IOException {
    assertThat(
            findings(
                (random, mutator) -> {
                  throw new CheckpointException(Path.of("x".repeat(1000)), null, "y", "z");
                }))
        .containsKey("a message of the wrong form");
  }

  @Test
  void aCaseOfMoreThanASecondIsAFinding() throws IOException {
    assertThat(
            findings(
                (random, mutator) -> {
                  ThreadMXBean threads = ManagementFactory.getThreadMXBean();
                  long end = threads.getCurrentThreadCpuTime() + 1_100_000_000;
                  while (threads.getCurrentThreadCpuTime() < end) Thread.onSpinWait();
                }))
        .containsKey("more than a second");
  }

  @Test
  void muchMemoryIsAFinding() throws IOException {
    assertThat(
            findings(
                (random, mutator) ->
                    assertThat(new byte[FileFuzzer.MAX_ALLOCATED_BYTES]).isNotNull()))
        .containsKey("allocates out of proportion");
  }

  private static Map<String, String> findings(FuzzTargets.Target target) throws IOException {
    FileFuzzer fuzzer = new FileFuzzer(1, Map.of("broken", target));
    fuzzer.run(1, 30);
    return fuzzer.findings();
  }

  @Test
  void aSeedMakesTheSameCases() throws IOException {
    StringBuilder one = new StringBuilder();
    StringBuilder two = new StringBuilder();
    new FileFuzzer(7, Map.of("a", (random, mutator) -> one.append(random.nextLong()))).run(9, 30);
    new FileFuzzer(7, Map.of("a", (random, mutator) -> two.append(random.nextLong()))).run(9, 30);

    assertThat(two.toString())
        .isEqualTo(one.toString())
        .contains(Long.toString(new Random(FileFuzzer.caseSeed(7, 8)).nextLong()));
  }
}
