package org.winnow.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/** A command that was run in this process, and what it printed. */
record CapturedRun(int exitCode, String out, String err) {
  /** Without a terminal. */
  static CapturedRun of(Object... args) {
    return run(false, args);
  }

  /** As if a person were watching. */
  static CapturedRun onTerminal(Object... args) {
    return run(true, args);
  }

  private static CapturedRun run(boolean onTerminal, Object... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    String[] words = new String[args.length];
    for (int i = 0; i < args.length; i++) words[i] = args[i].toString();
    Terminal terminal =
        new Terminal(new PrintWriter(out), new PrintWriter(err), onTerminal, onTerminal);
    int exitCode = Main.commandLine(terminal).execute(words);
    terminal.out().flush();
    terminal.err().flush();
    return new CapturedRun(exitCode, out.toString(), err.toString());
  }
}
