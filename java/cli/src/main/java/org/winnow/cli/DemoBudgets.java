package org.winnow.cli;

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

  private final Path path;
  private final int[] promptIds;
  private final int[] allIds;

  /**
   * @param promptIds what to go on from
   * @param allIds a sequence whose logits are compared at every position
   */
  DemoBudgets(Path path, int[] promptIds, int[] allIds) {
    this.path = path;
    this.promptIds = promptIds;
    this.allIds = allIds;
  }

  private record Run(String logits, GenerationResult result) {
    boolean equals(Run other) {
      return logits.equals(other.logits) && Arrays.equals(result.ids(), other.result.ids());
    }
  }

  /** Prints a line per budget; whether all are equal. */
  boolean compare(Terminal terminal) {
    Table table =
        Table.withHeading("budget", "read", "hit rate", "resident", "tokens/s", "equal to 100 %");
    Run reference = run(LoadOptions.defaults());
    boolean allEqual = true;
    try (Progress progress = new Progress(terminal, "every budget", "runs", 10L * WAYS)) {
      for (int tenth = 1; tenth <= 10; tenth++) {
        int equal = 0;
        List<Run> runs = new ArrayList<>();
        for (int way = 0; way < WAYS; way++) {
          Run run = run(options(tenth, way));
          if (run.equals(reference)) equal++;
          runs.add(run);
          progress.update((tenth - 1L) * WAYS + way + 1);
        }
        allEqual &= equal == WAYS;
        Run shown = runs.get(0);
        ExpertCounters experts = Objects.requireNonNull(shown.result.experts());
        table.row(
            tenth + "0 %",
            Units.bytes(experts.demandBytesRead()),
            Units.percent(experts.hitRate()),
            Units.bytes(experts.peakResidentBytes()),
            Units.threeDigits(shown.result.decodeTokensPerSecond()),
            equal + " of " + WAYS);
      }
    }
    terminal.out().println();
    terminal
        .out()
        .println(
            terminal.bold(
                "Budgets from 10 % to 100 %, each with lru, lfu, lfru, with and without read-ahead"
                    + " (figures: lru without)"));
    table.print(terminal.out(), "  ");
    terminal
        .out()
        .println(
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
    terminal.out().flush();
    return allEqual;
  }

  private static LoadOptions options(int tenth, int way) {
    ModelOptions.Policy policy = ModelOptions.Policy.values()[way / 2];
    return LoadOptions.defaults()
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
