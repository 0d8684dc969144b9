package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchComparisonTest {
  @TempDir Path folder;

  @Test
  void lessTimeAndMoreTokensAreFaster() {
    Measured then = new Measured("s", new Spread(2, 1, 4), 0.5);
    Measured now = new Measured("s", new Spread(1, 0.5, 2), 0.5);
    assertThat(now.speedup(then)).isEqualTo(new Spread(2, 0.5, 8));
    then = new Measured("tokens/s", then.spread(), 0.5);
    now = new Measured("tokens/s", new Spread(6, 5, 8), 0.5);
    assertThat(now.speedup(then)).isEqualTo(new Spread(3, 1.25, 8));
  }

  @Test
  void resultsOfOperationsAreFoundByTheirFields() throws IOException {
    Path old = folder.resolve("old.json");
    Files.writeString(
        old,
        "{\"results\": [{\"operation\": \"router\", \"shape\": \"OLMoE\", \"type\": \"f32\","
            + " \"tokens\": 16, \"seconds\": 0.5}]}");
    Measured now = new Measured("s", new Spread(0.25, 0.25, 0.25), Double.NaN);
    BenchComparison comparison =
        EarlierResults.read(old).compare(BenchReport.NAMES, Map.of("router, OLMoE, f32, 16", now));
    assertThat(JsonDocument.object(comparison::write))
        .isEqualTo(
            "{\"comparison\":[{\"name\":\"router, OLMoE, f32, 16\",\"speed\":{\"median\":2.0,"
                + "\"lowest\":2.0,\"highest\":2.0},\"share_of_limit_then\":null,"
                + "\"share_of_limit_now\":null}]}");
  }

  @Test
  void whatIsNoResultIsRefused() throws IOException {
    Path file = folder.resolve("old.json");
    for (String text : List.of("", "3", "[]", "{", "{\"a\": 1} 2", "{\"a\": 1, \"a\": 2}")) {
      Files.writeString(file, text);
      assertThatThrownBy(() -> EarlierResults.read(file))
          .as(text)
          .isInstanceOf(CommandException.class)
          .hasMessageStartingWith(file + ": cannot be read: ")
          .hasMessageNotContaining("\n");
    }
    for (String result : List.of("3", "{}", "{\"seconds\": null}", "{\"seconds\": 0}")) {
      Files.writeString(file, "{\"results\": [" + result + "]}");
      assertThatThrownBy(() -> EarlierResults.read(file).compare(BenchReport.NAMES, Map.of()))
          .as(result)
          .isInstanceOf(CommandException.class)
          .hasMessageContaining("results[0]");
    }
    assertThatThrownBy(() -> EarlierResults.read(folder))
        .hasMessageContaining("expected a file, found a folder");
  }
}
