package org.winnow.cli;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Path;
import java.util.Objects;
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

  private static final class Source {
    @Option(
        names = "--prompt",
        paramLabel = "TEXT",
        required = true,
        preprocessor = LiteralText.Preprocessor.class,
        converter = LiteralText.Converter.class,
        description =
            "text to continue, whatever it begins with; bytes that are not UTF-8 become U+FFFD")
    private @Nullable String text;

    @Option(
        names = "--prompt-file",
        paramLabel = "FILE",
        required = true,
        description =
            "text to continue, - is standard input; all of it counts, a newline at its end too;"
                + " must be UTF-8")
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
   * Opens the file of the prompt, or returns null if the prompt is in no file.
   *
   * @throws CommandException if it is a folder
   */
  @Nullable Reader open(Terminal terminal) throws IOException {
    return source.file == null ? null : TextInput.reader(source.file, terminal);
  }

  /**
   * The token ids of the prompt.
   *
   * @param text what {@link #open} returned; no more of it is read than may fit into the context
   * @throws ParameterException if there are none, or if one is not in the vocabulary
   * @throws CommandException if the file is not UTF-8 text
   */
  int[] ids(LanguageModel model, Path path, @Nullable Reader text) throws IOException {
    try {
      if (source.ids != null) return Prompts.checked("--prompt-ids", source.ids.values(), model);
      return source.file != null && text != null
          ? Prompts.encode(TextInput.name(source.file), text, model, path)
          : Prompts.encode("--prompt", Objects.requireNonNull(source.text), model, path);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), e.getMessage());
    }
  }
}
