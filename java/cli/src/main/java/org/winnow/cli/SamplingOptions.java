package org.winnow.cli;

import java.util.List;
import java.util.Map;
import java.util.Stack;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.IParameterPreprocessor;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;

/**
 * What is asked of a generation, on the command line or in a line of a file of prompts. What is not
 * asked is null. {@link Sampling#of} adds what the checkpoint recommends.
 */
final class SamplingOptions {
  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      description =
          "largest number of new tokens; default: max_new_tokens of generation_config.json, else"
              + " until the context is full")
  @Nullable Integer maxTokens;

  @Option(
      names = "--greedy",
      description =
          "always choose the most probable token, whatever generation_config.json recommends")
  @Nullable Boolean greedy;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "0 chooses the most probable token, 1 samples with the model's probabilities; default:"
              + " that of generation_config.json, else 0.8")
  @Nullable Double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description =
          "sample among the K most probable tokens; default: that of generation_config.json, else"
              + " all")
  @Nullable Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "sample among the fewest tokens whose probabilities sum to at least P; default: that of"
              + " generation_config.json, else 1")
  @Nullable Double topP;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      description =
          "sample among the tokens that are at least P times as probable as the most probable one;"
              + " default: that of generation_config.json, else 0")
  @Nullable Double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "R",
      description =
          "more than 1 makes tokens that occurred before less probable; default: that of"
              + " generation_config.json, else 1")
  @Nullable Double repetitionPenalty;

  @Option(
      names = "--stop",
      paramLabel = "TEXT",
      preprocessor = LiteralText.Preprocessor.class,
      converter = LiteralText.Converter.class,
      description =
          "end before this text; may be repeated; default: that of generation_config.json")
  @Nullable List<String> stop;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description =
          "the same seed gives the same text for every budget, policy and number of threads; default: 0")
  @Nullable Long seed;

  @Option(
      names = "--logprobs",
      paramLabel = "N",
      arity = "0..1",
      preprocessor = CountPreprocessor.class,
      description =
          "add each token's log probability to the JSON, with those of the N most probable tokens;"
              + " N is at most the vocabulary, and 0 if it is not given")
  @Nullable Integer logprobs;

  /**
   * Leaves an argument that is no number to the command, unless it can only be a wrong value: if it
   * is attached with {@code =}, or if PATH came before.
   */
  private static final class CountPreprocessor implements IParameterPreprocessor {
    @Override
    public boolean preprocess(
        Stack<String> arguments, CommandSpec command, ArgSpec option, Map<String, Object> state) {
      if (!isValue(arguments, command, state)) arguments.push("0");
      return false; // picocli goes on
    }

    private static boolean isValue(
        Stack<String> arguments, CommandSpec command, Map<String, Object> state) {
      if (state.get("separator") instanceof String separator && !separator.isBlank()) return true;
      if (arguments.isEmpty()) return false;
      if (arguments.peek().matches("[+-]?[0-9]+")) return true;
      boolean hasPath = command.positionalParameters().get(0).getValue() != null;
      return hasPath && !arguments.peek().startsWith("-");
    }
  }

  /**
   * These options, and those of {@code base} where these ask nothing. What contradicts these is
   * left out.
   */
  SamplingOptions over(SamplingOptions base) {
    SamplingOptions all = new SamplingOptions();
    boolean isGreedy = Boolean.TRUE.equals(greedy);
    boolean samples = greedy == null && sampling().findAny().isPresent();
    all.maxTokens = first(maxTokens, base.maxTokens);
    all.greedy = first(greedy, samples ? null : base.greedy);
    all.temperature = first(temperature, isGreedy ? null : base.temperature);
    all.topK = first(topK, isGreedy ? null : base.topK);
    all.topP = first(topP, isGreedy ? null : base.topP);
    all.minP = first(minP, isGreedy ? null : base.minP);
    all.repetitionPenalty = first(repetitionPenalty, base.repetitionPenalty);
    all.stop = first(stop, base.stop);
    all.seed = first(seed, base.seed);
    all.logprobs = first(logprobs, base.logprobs);
    return all;
  }

  private static <T> @Nullable T first(@Nullable T value, @Nullable T otherwise) {
    return value != null ? value : otherwise;
  }

  /** The values that ask to sample, each after the name of its parameter. */
  private Stream<String> sampling() {
    return Stream.of(
            temperature == null || temperature == 0 ? "" : "temperature " + temperature,
            topK == null || topK == 1 ? "" : "topK " + topK,
            topP == null ? "" : "topP " + topP,
            minP == null ? "" : "minP " + minP)
        .filter(value -> !value.isEmpty());
  }

  /** The value that contradicts greedy choice, after the name of its parameter, or null. */
  @Nullable String contradiction() {
    return Boolean.TRUE.equals(greedy) ? sampling().findFirst().orElse(null) : null;
  }
}
