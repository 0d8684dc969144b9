package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.memory.EvictionPolicy;
import org.winnow.models.ExpertBudget;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.TokenListener;

/**
 * The speed of the same generation at budgets from 10 % to 100 %, and what it reads. Every run
 * opens the model anew, so each begins without experts in memory. The runs of a round follow each
 * other, and the best of several rounds counts, so that other load meets all budgets.
 */
final class BudgetSweep {
  private static final int NUM_BUDGETS = 10;

  private final Path path;
  private final LoadOptions opening;
  private final int[] promptIds;
  private final GenerateOptions generation;
  private final int numRounds;
  private final double[] tokensPerSecond = new double[NUM_BUDGETS];
  private final long[] bytesRead = new long[NUM_BUDGETS];
  private double denseTokensPerSecond;
  private int @Nullable [] firstIds; // of the first run, which all others must give too
  private boolean allEqual = true;

  /**
   * @param path a mixture of experts
   * @param opening what all runs share: the type of activations
   * @param promptIds what to go on from
   * @param maxTokens new tokens of each run, at least 2
   * @param numRounds how often each budget is timed, at least 1
   */
  BudgetSweep(Path path, LoadOptions opening, int[] promptIds, int maxTokens, int numRounds) {
    this.path = path;
    this.opening = opening;
    this.promptIds = promptIds;
    this.numRounds = numRounds;
    this.generation = GenerateOptions.sampling(maxTokens, 0.8, 1).withStopIds(Set.of());
  }

  /**
   * Returns whether all runs gave the same tokens.
   *
   * @throws org.winnow.ContextLengthException if the prompt and the new tokens exceed the context
   */
  boolean run(Terminal terminal) {
    long numRuns = (long) numRounds * (NUM_BUDGETS + 1);
    try (Progress progress = new Progress(terminal, "plot", "runs", numRuns)) {
      long done = 0;
      for (int round = 0; round < numRounds; round++) {
        for (int i = 0; i < NUM_BUDGETS; i++) {
          GenerationResult result = generate(budget(i));
          tokensPerSecond[i] = Math.max(tokensPerSecond[i], result.decodeTokensPerSecond());
          bytesRead[i] = Objects.requireNonNull(result.experts()).demandBytesRead();
          progress.update(++done);
        }
        GenerationResult dense = generate(opening.withEveryExpert(true));
        denseTokensPerSecond = Math.max(denseTokensPerSecond, dense.decodeTokensPerSecond());
        progress.update(++done);
      }
    }
    return allEqual;
  }

  /** Without read-ahead: what is read then depends on the budget alone, not on time. */
  private LoadOptions budget(int i) {
    return opening
        .withBudget(ExpertBudget.ofShare((i + 1.0) / NUM_BUDGETS))
        .withEvictionPolicy(EvictionPolicy::lfru);
  }

  private GenerationResult generate(LoadOptions options) {
    try (LanguageModel model = LanguageModel.open(path, options)) {
      GenerationResult result = model.generate(promptIds, generation, TokenListener.NONE);
      if (firstIds == null) firstIds = result.ids();
      allEqual &= Arrays.equals(firstIds, result.ids());
      return result;
    }
  }

  /** What {@link #run} has measured, by ascending budget. */
  List<BudgetChart.Point> points() {
    List<BudgetChart.Point> points = new ArrayList<>();
    for (int i = 0; i < NUM_BUDGETS; i++) {
      points.add(
          new BudgetChart.Point(100 * (i + 1) / NUM_BUDGETS, tokensPerSecond[i], bytesRead[i]));
    }
    return points;
  }

  /** Writes what {@link #run} has measured. */
  void write(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeNumberField("dense_tokens_per_second", denseTokensPerSecond);
    json.writeArrayFieldStart("budgets");
    for (BudgetChart.Point point : points()) {
      json.writeStartObject();
      json.writeNumberField("percent", point.budgetPercent());
      json.writeNumberField("decode_tokens_per_second", point.tokensPerSecond());
      json.writeNumberField("demand_bytes_read", point.bytesRead());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeBooleanField("equal", allEqual);
    json.writeEndObject();
  }

  /** The best speed with every expert computed for every token and all in memory. */
  double denseTokensPerSecond() {
    return denseTokensPerSecond;
  }
}
