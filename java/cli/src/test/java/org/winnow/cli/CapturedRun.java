package org.winnow.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/** A command that was run in this process, with its exit code and output. */
record CapturedRun(int exitCode, String out, String err) {
  /** Runs a command without a terminal. */
  static CapturedRun of(Object... args) {
    return run(false, err -> {}, args);
  }

  /** Runs a command with terminals as output. */
  static CapturedRun onTerminal(Object... args) {
    return run(true, err -> {}, args);
  }

  /**
   * Runs a command without a terminal. The listener gets all of standard error so far whenever it
   * is flushed.
   */
  static CapturedRun watched(Consumer<String> listener, Object... args) {
    return run(false, listener, args);
  }

  /** Runs a command without a terminal, with this text as standard input. */
  static CapturedRun withInput(String input, Object... args) {
    return run(false, err -> {}, input.getBytes(StandardCharsets.UTF_8), args);
  }

  private static CapturedRun run(boolean onTerminal, Consumer<String> listener, Object... args) {
    return run(onTerminal, listener, new byte[0], args);
  }

  private static CapturedRun run(
      boolean onTerminal, Consumer<String> listener, byte[] input, Object... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    StringWriter err =
        new StringWriter() {
          @Override
          public void flush() {
            listener.accept(toString());
          }
        };
    String[] words = new String[args.length];
    for (int i = 0; i < args.length; i++) words[i] = args[i].toString();
    Terminal terminal =
        new Terminal(
            new ByteArrayInputStream(input),
            new PrintWriter(out, false, StandardCharsets.UTF_8),
            out,
            new PrintWriter(err),
            onTerminal,
            onTerminal);
    int exitCode = Main.commandLine(terminal, words).execute(words);
    terminal.out().flush();
    terminal.err().flush();
    return new CapturedRun(exitCode, out.toString(StandardCharsets.UTF_8), err.toString());
  }
}
