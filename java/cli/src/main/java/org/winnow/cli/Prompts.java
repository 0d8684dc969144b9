package org.winnow.cli;

import java.nio.file.Path;
import org.winnow.models.LanguageModel;

/** The token ids of prompts. */
final class Prompts {
  private Prompts() {}

  /**
   * The ids of a text.
   *
   * @param name what the user calls the text
   * @throws IllegalArgumentException if there are none
   * @throws org.winnow.ContextLengthException if the text is too long for the context
   * @throws CommandException if the model has no tokenizer
   */
  static int[] encode(String name, String text, LanguageModel model, Path path) {
    if (model.tokenizer() == null)
      throw new CommandException(
          ExitCode.MISSING,
          path
              + ": has no tokenizer.json: use "
              + (name.startsWith("--") ? "--prompt-ids" : "prompt_ids"));
    int[] ids = model.encodePrompt(text);
    if (ids.length == 0) throw new IllegalArgumentException(name + " must not be empty");
    return ids;
  }

  /**
   * These ids.
   *
   * @throws IllegalArgumentException if one is not in the vocabulary of the model
   */
  static int[] checked(String name, int[] ids, LanguageModel model) {
    int vocabularySize = model.config().vocabularySize();
    if (ids.length == 0) throw new IllegalArgumentException(name + " must not be empty");
    for (int id : ids) {
      if (id < 0 || id >= vocabularySize)
        throw new IllegalArgumentException(
            name + " must be less than the vocabulary of " + vocabularySize + ", found " + id);
    }
    return ids;
  }
}
