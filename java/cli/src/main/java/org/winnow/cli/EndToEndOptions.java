package org.winnow.cli;

import java.lang.reflect.Field;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.models.ExpertBudget;
import org.winnow.models.LoadOptions;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.ParseResult;

/** The options of {@code winnow bench --end-to-end}. */
final class EndToEndOptions {
  @Option(
      names = "--end-to-end",
      description =
          "measure a whole model: opening, first token, prefill and decode as llama-bench does,"
              + " attention by length, and where the time goes")
  private boolean endToEnd;

  @Parameters(
      arity = "0..1",
      paramLabel = "PATH",
      description =
          "with --end-to-end: folder of the checkpoint; default: one of random weights is made, of the first --shape")
  private @Nullable Path path;

  @Option(
      names = "--layers",
      paramLabel = "N",
      defaultValue = "4",
      description = "with --end-to-end: layers of the made model; default: ${DEFAULT-VALUE}")
  private int layers;

  @Option(
      names = "--vocabulary",
      paramLabel = "N",
      defaultValue = "32000",
      description = "with --end-to-end: tokens of the made model; default: ${DEFAULT-VALUE}")
  private int vocabulary;

  @Option(
      names = "--made",
      paramLabel = "FOLDER",
      description =
          "with --end-to-end: where the made model is kept for the next time; default: a temporary folder, deleted at"
              + " the end")
  private @Nullable Path made;

  @Option(
      names = "--budget",
      paramLabel = "SIZE",
      split = ",",
      defaultValue = "100%,25%",
      converter = ModelOptions.BudgetConverter.class,
      description = "with --end-to-end: budgets for experts; default: ${DEFAULT-VALUE}")
  private List<ExpertBudget> budgets = List.of();

  @Option(
      names = "--prompt-tokens",
      paramLabel = "N",
      defaultValue = "512",
      description =
          "with --end-to-end: tokens of the prompt that is timed; default: ${DEFAULT-VALUE}")
  private int promptTokens;

  @Option(
      names = "--new-tokens",
      paramLabel = "N",
      defaultValue = "64",
      description =
          "with --end-to-end: tokens of the decoding that is timed; default: ${DEFAULT-VALUE}")
  private int newTokens;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description =
          "with --end-to-end: how often each case is opened anew, in turn with the others; default: ${DEFAULT-VALUE}")
  private int rounds;

  @Option(
      names = "--runs",
      paramLabel = "N",
      defaultValue = "3",
      description = "with --end-to-end: runs of each test in a round; default: ${DEFAULT-VALUE}")
  private int runs;

  @Option(
      names = "--cache-type",
      paramLabel = "TYPE",
      converter = ModelOptions.CacheTypeConverter.class,
      description =
          "with --end-to-end: type of the key-value cache, as generate takes it; default: generate's")
  private @Nullable DType cacheType;

  @Mixin private ActivationsOption activations = new ActivationsOption();

  @Option(
      names = "--lengths",
      paramLabel = "N",
      split = ",",
      defaultValue = "1024,8192",
      description =
          "with --end-to-end: positions that attention is measured at; default: ${DEFAULT-VALUE}")
  private List<Integer> lengths = List.of();

  @Option(
      names = "--peer",
      paramLabel = "COMMAND",
      description = {
        "with --end-to-end: a command that prints tokens per second as llama-bench does, run by"
            + " the shell once in each round; ratios are printed; may be repeated"
      })
  private List<String> peers = List.of();

  @Option(
      names = "--peer-limit",
      paramLabel = "SECONDS",
      defaultValue = "600",
      description =
          "with --end-to-end: after which a peer's run is ended and counts as failed; default:"
              + " ${DEFAULT-VALUE}")
  private int peerLimit;

  /** Whether a whole model is measured. */
  boolean areAsked() {
    return endToEnd;
  }

  /** The first of these options that was given without {@code --end-to-end}, or null. */
  @Nullable String misplaced(ParseResult given) {
    if (endToEnd) return null;
    if (path != null) return "PATH " + path;
    return given.matchedOptionsSet().stream()
        .filter(
            option ->
                option.userObject() instanceof Field field
                    && field.getDeclaringClass() == EndToEndOptions.class)
        .map(OptionSpec::longestName)
        .findFirst()
        .orElse(null);
  }

  @Nullable Path path() {
    return path;
  }

  int layers() {
    return layers;
  }

  int vocabulary() {
    return vocabulary;
  }

  @Nullable Path made() {
    return made;
  }

  List<ExpertBudget> budgets() {
    return budgets;
  }

  List<Integer> lengths() {
    return lengths;
  }

  List<PeerCommand> peers() {
    return peers.stream().map(command -> new PeerCommand(command, peerLimit)).toList();
  }

  /** How to open the model for a budget. */
  LoadOptions loadOptions(ExpertBudget budget) {
    return activations.over(LoadOptions.defaults().withBudget(budget).withCacheType(cacheType));
  }

  /** The type of activations that was asked for, or null. */
  @Nullable DType activations() {
    return activations.type();
  }

  /** The type of the cache that was asked for, or null. */
  @Nullable DType cacheType() {
    return cacheType;
  }

  int rounds() {
    return rounds;
  }

  int runs() {
    return runs;
  }

  /** The tests that are timed. */
  List<SpeedTest> tests() {
    return List.of(
        new SpeedTest(SpeedTest.Kind.PREFILL, promptTokens),
        new SpeedTest(SpeedTest.Kind.DECODE, newTokens));
  }

  /** What is wrong with these options, or null. */
  @Nullable String fault() {
    if (layers < 1) return "--layers must be at least 1, found " + layers;
    if (vocabulary < 1) return "--vocabulary must be at least 1, found " + vocabulary;
    if (promptTokens < 1) return "--prompt-tokens must be at least 1, found " + promptTokens;
    if (newTokens < 1) return "--new-tokens must be at least 1, found " + newTokens;
    if (rounds < 1) return "--rounds must be at least 1, found " + rounds;
    if (peerLimit < 1) return "--peer-limit must be at least 1, found " + peerLimit;
    for (int length : lengths) {
      if (length < 1) return "--lengths must be at least 1, found " + length;
    }
    if (runs < 1) return "--runs must be at least 1, found " + runs;
    if (path != null && made != null) return "--made is for a model that is made, not for " + path;
    return null;
  }
}
