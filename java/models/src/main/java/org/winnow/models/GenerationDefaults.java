package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.op.SamplerOptions;

/**
 * How the makers of a checkpoint recommend to generate, from its {@code generation_config.json}.
 * The meaning of the keys, and of an absent one, is that of Hugging Face transformers 5. So without
 * {@code do_sample: true} the most probable token is chosen, and {@code top_k} is 50 unless it is
 * given.
 *
 * @param file the {@code generation_config.json}
 * @param sampler the rule that chooses tokens. If the file does not ask to sample, temperature 0
 *     and only a repetition penalty
 * @param maxTokens limit on the number of new tokens, or null
 * @param stopTokens ids that end a text; may be empty
 * @param stopTexts texts that end a text; may be empty
 * @param ignored keys with values that have no effect in Winnow but would have one in transformers,
 *     each with the reason if there is one: {@code num_beams 4}
 */
public record GenerationDefaults(
    Path file,
    SamplerOptions sampler,
    @Nullable Integer maxTokens,
    List<Integer> stopTokens,
    List<String> stopTexts,
    List<String> ignored) {
  static final String FILE = "generation_config.json";

  public GenerationDefaults {
    stopTokens = List.copyOf(stopTokens);
    stopTexts = List.copyOf(stopTexts);
    ignored = List.copyOf(ignored);
  }

  /**
   * Reads the recommendation of a checkpoint.
   *
   * @param folder the checkpoint's folder
   * @return null if it has no {@code generation_config.json}
   * @throws CheckpointException naming the key, what was expected and what was found
   */
  public static @Nullable GenerationDefaults read(Path folder) {
    Path file = folder.resolve(FILE);
    return CheckpointFile.isThere(file) ? GenerationConfigReader.of(file).defaults() : null;
  }

  /**
   * Options that follow the recommendation. Without a limit, they fill the context. Stop texts need
   * a tokenizer: for a model without one, continue with {@code withStopTexts(List.of())}.
   */
  public GenerateOptions options(long seed) {
    int limit = maxTokens == null ? GenerateOptions.FILL_CONTEXT : maxTokens;
    return GenerateOptions.of(limit, sampler, seed).withStopTexts(stopTexts);
  }
}
