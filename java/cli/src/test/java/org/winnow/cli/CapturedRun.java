package org.winnow.cli;

import java.io.PrintWriter;
import java.io.StringWriter;

/** A command that was run in this process, and what it printed. */
record CapturedRun(int exitCode, String out, String err) {
  /** Without a terminal. */
  static CapturedRun of(Object... args) {
    return of(false, args);
  }

  static CapturedRun of(boolean onTerminal, Object... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    String[] words = new String[args.length];
    for (int i = 0; i < args.length; i++) words[i] = args[i].toString();
    Terminal terminal = new Terminal(new PrintWriter(out), new PrintWriter(err), onTerminal, onTerminal);
    int exitCode = Main.commandLine(terminal).execute(words);
    terminal.out().flush();
    terminal.err().flush();
    return new CapturedRun(exitCode, out.toString(), err.toString());
  }
}
