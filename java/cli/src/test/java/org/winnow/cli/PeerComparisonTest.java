package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.cli.BenchSeries.Key;

class PeerComparisonTest {
  private static PeerComparison of(String command, Integer... threads) {
    return new PeerComparison(
        new PeerCommand(command, 30), List.of(threads), List.of("pp8", "tg2"), "100 %");
  }

  private static String printing(String... rows) {
    return "printf '| threads | test | t/s |\\n" + String.join("\\n", rows) + "\\n'";
  }

  @Test
  void ratiosAreThoseOfEachRound() {
    PeerComparison peer =
        of(printing("| 1 | pp8 | 4 |", "| 3 | pp8 | 1 |", "| 1 | pp16 | 1 |"), 1, 2);
    assertThat(peer.run()).isNull();
    assertThat(peer.run()).isNull();
    Key key = new Key("pp8", 1, "100 %");
    BenchSeries ours = new BenchSeries(key, "tokens/s");
    for (double rate : new double[] {8, 7, 9}) ours.add(0, rate);
    ours.add(1, 2);
    assertThat(peer.rows(Map.of(key, ours)))
        .containsExactly(
            new PeerComparison.Row(
                key, new Spread(5, 2, 8), new Spread(4, 4, 4), new Spread(1.25, 0.5, 2)));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "| 1 | pp9 | 3 | ; printed pp9 with 1 threads| expected one of pp8, tg2 with a number of threads of [1, 2]",
        "| 7 | pp8 | 3 | ; printed pp8 with 7 threads| expected",
        "| 0 | pp8 | 3 | ; it does not say its number of threads| choose one with --threads",
      })
  void resultsOfOtherCasesAreRefused(String row, String expected) {
    PeerComparison peer = of(printing(row), 1, 2);
    assertThat(peer.run()).startsWith("peer '").contains(expected.replace('|', ';'));
    assertThat(peer.failure()).isNotNull();
    assertThat(peer.rows(Map.of())).isEmpty();
  }

  @Test
  void twoResultsOfOneCaseAreRefused() {
    assertThat(of(printing("| 1 | pp8 | 3 |", "| 1 | pp8 | 4 |"), 1).run())
        .endsWith("printed pp8 with 1 threads twice");
  }

  @Test
  void oneNumberOfThreadsNeedsNoNaming() {
    PeerComparison peer = of("printf '| test | t/s |\\n| tg2 | 3 |\\n'", 2);
    assertThat(peer.run()).isNull();
    assertThat(peer.failure()).isNull();
  }
}
