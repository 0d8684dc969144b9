package org.winnow.cli;

import org.jspecify.annotations.Nullable;
import org.winnow.models.GenerateOptions;
import org.winnow.models.LanguageModel;
import picocli.CommandLine.Option;

/**
 * What is asked of a generation, on the command line or in a line of a file of prompts. What is not
 * asked is null.
 */
final class SamplingOptions {
  private static final double TEMPERATURE = 0.8;

  @Option(
      names = "--max-tokens",
      paramLabel = "N",
      description = "largest number of new tokens; default: until the context is full")
  @Nullable Integer maxTokens;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description =
          "0 chooses the most probable token, 1 samples with the model's probabilities; default: 0.8")
  @Nullable Double temperature;

  @Option(
      names = "--top-k",
      paramLabel = "K",
      description = "sample among the K most probable tokens; default: all")
  @Nullable Integer topK;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description =
          "sample among the fewest tokens whose probabilities sum to at least P; default: 1")
  @Nullable Double topP;

  @Option(
      names = "--seed",
      paramLabel = "S",
      description =
          "the same seed gives the same text for every budget, policy and number of threads; default: 0")
  @Nullable Long seed;

  /** These options, and those of {@code base} where these ask nothing. */
  SamplingOptions over(SamplingOptions base) {
    SamplingOptions all = new SamplingOptions();
    all.maxTokens = maxTokens != null ? maxTokens : base.maxTokens;
    all.temperature = temperature != null ? temperature : base.temperature;
    all.topK = topK != null ? topK : base.topK;
    all.topP = topP != null ? topP : base.topP;
    all.seed = seed != null ? seed : base.seed;
    return all;
  }

  /**
   * The options for a prompt of this length.
   *
   * @throws IllegalArgumentException naming what is out of range, as {@link GenerateOptions} does
   */
  GenerateOptions resolve(LanguageModel model, int promptTokens) {
    return GenerateOptions.sampling(
            maxTokens != null
                ? maxTokens
                : Math.max(0, model.config().contextLength() - promptTokens),
            temperature != null ? temperature : TEMPERATURE,
            seed != null ? seed : 0)
        .withTopK(topK != null ? topK : 0)
        .withTopP(topP != null ? topP : 1);
  }
}
