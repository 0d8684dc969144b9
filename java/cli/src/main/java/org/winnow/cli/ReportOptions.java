package org.winnow.cli;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where a command's results go, besides the text for people. */
final class ReportOptions {
  @Option(
      names = "--json",
      description = "print the results as JSON; the text for people then goes to standard error")
  private boolean json;

  @Option(
      names = "--stats",
      paramLabel = "FILE",
      description = "write the results to this file, as JSON; - is standard output, as with --json")
  private @Nullable Path stats;

  /**
   * Where the results of one run go.
   *
   * @param people where the text for people goes
   */
  record Report(
      Terminal terminal, Terminal people, boolean toStandardOutput, @Nullable OutputFile file) {
    /** Prints the document, or writes it to the file, or both. */
    void write(JsonDocument.Content content) {
      if (!toStandardOutput && file == null) return;
      String text = JsonDocument.text(content);
      if (toStandardOutput) {
        terminal.out().print(text);
        terminal.out().flush();
      }
      if (file != null) file.write(text.getBytes(StandardCharsets.UTF_8));
    }
  }

  /**
   * Checks that the file can be written.
   *
   * @throws CommandException if it cannot
   */
  Report begin(Terminal terminal) {
    OutputFile file = stats == null ? null : OutputFile.of(stats, terminal);
    boolean toFile = file != null && !file.isStandardOutput();
    boolean toStandardOutput = toStandardOutput();
    return new Report(
        terminal,
        toStandardOutput ? terminal.withoutOut() : terminal,
        toStandardOutput,
        toFile ? file : null);
  }

  /** Whether there will be a document. */
  boolean isAsked() {
    return json || stats != null;
  }

  /** Whether the document goes to standard output. */
  boolean toStandardOutput() {
    return json || stats != null && OutputFile.isStandardOutput(stats);
  }
}
