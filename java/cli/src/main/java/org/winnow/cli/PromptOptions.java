package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import org.winnow.models.LanguageModel;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** What to continue: a text, a file, token ids, or a file with a prompt in each line. */
final class PromptOptions {
  @ArgGroup(multiplicity = "1")
  private Source source;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  private @Nullable String text; // of --prompt or --prompt-file

  private static final class Source {
    @Option(
        names = "--prompt",
        paramLabel = "TEXT",
        required = true,
        preprocessor = LiteralText.Preprocessor.class,
        converter = LiteralText.Converter.class,
        description = "text to continue, whatever it begins with")
    private @Nullable String text;

    @Option(
        names = "--prompt-file",
        paramLabel = "FILE",
        required = true,
        description =
            "UTF-8 text to continue, - is standard input; all of it counts, a newline at its end too")
    private @Nullable Path file;

    @Option(
        names = "--prompt-ids",
        paramLabel = "ID,...",
        required = true,
        converter = TokenIds.Converter.class,
        description = "the prompt as token ids")
    private @Nullable TokenIds ids;

    @Option(
        names = "--prompts",
        paramLabel = "FILE",
        required = true,
        description =
            "a JSON object in each line, with prompt or prompt_ids, - is standard input; each is"
                + " answered with a line of JSON")
    private @Nullable Path lines;
  }

  /** The file with a prompt in each line, or null if there is one prompt. */
  @Nullable Path lines() {
    return source.lines;
  }

  /**
   * Reads the file of the prompt, if there is one.
   *
   * @throws CommandException if it is not UTF-8 text
   */
  void read(Terminal terminal) throws IOException {
    text = source.file != null ? TextInput.read(source.file, terminal) : source.text;
  }

  /**
   * The token ids of the prompt.
   *
   * @throws ParameterException if there are none, or if one is not in the vocabulary
   */
  int[] ids(LanguageModel model, Path path) {
    String option = source.file != null ? "--prompt-file" : "--prompt";
    try {
      return source.ids != null
          ? Prompts.checked("--prompt-ids", source.ids.values(), model)
          : Prompts.encode(option, text == null ? "" : text, model, path);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage());
    }
  }
}
