package org.winnow.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import org.winnow.models.LanguageModel;

/** The token ids of prompts. */
final class Prompts {
  private Prompts() {}

  /** Converts a text to ids. */
  @FunctionalInterface
  interface Encoding {
    int[] run() throws IOException;
  }

  /**
   * The ids of a text.
   *
   * @param name what the user calls the text
   * @throws IllegalArgumentException if there are none
   * @throws org.winnow.ContextLengthException if the text is too long for the context
   * @throws CommandException if the model has no tokenizer, or if the text cannot be encoded
   */
  static int[] encode(String name, String text, LanguageModel model, Path path) {
    requireTokenizer(model, path, name.startsWith("--") ? "--prompt-ids" : "prompt_ids");
    try {
      return requireAny(name, encode(name, () -> model.encodePrompt(text)));
    } catch (IOException e) {
      throw new IllegalStateException(e); // a text in memory needs no reading
    }
  }

  /**
   * The ids of the text of {@code --prompt-file}.
   *
   * @param name of the file
   * @throws IllegalArgumentException if there are none
   * @throws org.winnow.ContextLengthException if the text is too long for the context; it is then
   *     not read to its end
   * @throws CommandException if the model has no tokenizer, or if the text cannot be encoded
   */
  static int[] encode(String name, Reader text, LanguageModel model, Path path) throws IOException {
    requireTokenizer(model, path, "--prompt-ids");
    return requireAny("--prompt-file", encode(name, () -> model.encodePrompt(text)));
  }

  /**
   * What an encoding gives.
   *
   * @param name of the text
   * @throws CommandException if the text cannot be encoded
   */
  static int[] encode(String name, Encoding encoding) throws IOException {
    try {
      return encoding.run();
    } catch (IllegalArgumentException e) {
      throw new CommandException(ExitCode.BAD_INPUT, name + ": " + e.getMessage());
    }
  }

  private static void requireTokenizer(LanguageModel model, Path path, String instead) {
    if (model.tokenizer() == null)
      throw new CommandException(
          ExitCode.MISSING, path + ": has no tokenizer.json: use " + instead);
  }

  private static int[] requireAny(String name, int[] ids) {
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
    for (int id : requireAny(name, ids)) {
      if (id < 0 || id >= vocabularySize)
        throw new IllegalArgumentException(
            name + " must be less than the vocabulary of " + vocabularySize + ", found " + id);
    }
    return ids;
  }
}
