package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.ExpertBudget;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.TokenListener;

/**
 * The demo's last part: whatever the budget, the policy and read-ahead, the same tokens and the
 * same bits of every logit.
 */
final class DemoBudgets {
  private static final int TOKENS = 48;
  // each policy, with and without read-ahead
  private static final int WAYS = 2 * ModelOptions.Policy.values().length;

  private static final String HEADING =
      "Budgets from 10 % to 100 %, each with lru, lfu, lfru, with and without read-ahead"
          + " (figures: lru without)";

  private final Path path;
  private final LoadOptions opening;
  private final int[] promptIds;
  private final int[] allIds;
  private final List<Row> rows = new ArrayList<>();

  /** A budget, the figures of its first run, and how many of its runs equal the reference. */
  private record Row(int percent, GenerationResult result, int equalRuns) {
    ExpertCounters experts() {
      return Objects.requireNonNull(result.experts());
    }
  }

  /**
   * @param opening what all runs share: the type of activations
   * @param promptIds what to go on from
   * @param allIds a sequence whose logits are compared at every position
   */
  DemoBudgets(Path path, LoadOptions opening, int[] promptIds, int[] allIds) {
    this.path = path;
    this.opening = opening;
    this.promptIds = promptIds;
    this.allIds = allIds;
  }

  private record Run(String logits, GenerationResult result) {
    boolean equals(Run other) {
      return logits.equals(other.logits) && Arrays.equals(result.ids(), other.result.ids());
    }
  }

  /** Prints a line per budget; whether all are equal. */
  boolean compare(Terminal people) {
    Run reference = run(opening);
    try (Progress progress = new Progress(people, "every budget", "runs", 10L * WAYS)) {
      for (int tenth = 1; tenth <= 10; tenth++) {
        int equal = 0;
        List<Run> runs = new ArrayList<>();
        for (int way = 0; way < WAYS; way++) {
          Run run = run(options(tenth, way));
          if (run.equals(reference)) equal++;
          runs.add(run);
          progress.update((tenth - 1L) * WAYS + way + 1);
        }
        rows.add(new Row(10 * tenth, runs.get(0).result, equal));
      }
    }
    boolean allEqual = rows.stream().allMatch(row -> row.equalRuns == WAYS);
    print(people.out(), people.bold(HEADING), reference, allEqual);
    return allEqual;
  }

  private void print(PrintWriter out, String heading, Run reference, boolean allEqual) {
    Table table =
        Table.withHeading("budget", "read", "hit rate", "resident", "tokens/s", "equal to 100 %");
    for (Row row : rows) {
      table.row(
          row.percent + " %",
          Units.bytes(row.experts().demandBytesRead()),
          Units.percent(row.experts().hitRate()),
          Units.bytes(row.experts().peakResidentBytes()),
          Units.threeDigits(row.result.decodeTokensPerSecond()),
          row.equalRuns + " of " + WAYS);
    }
    out.println();
    out.println(heading);
    table.print(out, "  ");
    out.println(
        allEqual
            ? "  All "
                + 10 * WAYS
                + " runs: the same "
                + reference.result.ids().length
                + " tokens, and the same bits in every logit of "
                + allIds.length
                + " positions ("
                + reference.logits
                + ")."
            : "  RESULTS DIFFER.");
    out.flush();
  }

  /** Writes what {@link #compare} has measured, an object for each budget. */
  void write(JsonGenerator json) throws IOException {
    json.writeStartArray();
    for (Row row : rows) {
      json.writeStartObject();
      json.writeNumberField("percent", row.percent);
      json.writeNumberField("demand_bytes_read", row.experts().demandBytesRead());
      JsonDocument.number(json, "hit_rate", row.experts().hitRate());
      json.writeNumberField("peak_resident_bytes", row.experts().peakResidentBytes());
      json.writeNumberField("decode_tokens_per_second", row.result.decodeTokensPerSecond());
      json.writeNumberField("runs", WAYS);
      json.writeNumberField("equal_runs", row.equalRuns);
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private LoadOptions options(int tenth, int way) {
    ModelOptions.Policy policy = ModelOptions.Policy.values()[way / 2];
    return opening
        .withBudget(ExpertBudget.ofShare(tenth / 10.0))
        .withEvictionPolicy(policy.supplier())
        .withReadAhead(way % 2 == 1);
  }

  private Run run(LoadOptions options) {
    try (LanguageModel model = LanguageModel.open(path, options)) {
      GenerationResult result =
          model.generate(promptIds, GenerateOptions.sampling(TOKENS, 0.8, 1), TokenListener.NONE);
      return new Run(LogitsDigest.of(model, allIds), result);
    }
  }
}
