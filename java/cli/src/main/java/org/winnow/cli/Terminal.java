package org.winnow.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Where a command writes: results to {@code out}, everything about them (progress, summary, errors)
 * to {@code err}. Always UTF-8: generated text does not depend on the locale.
 *
 * @param outIsTerminal whether a person reads {@code out}
 * @param errIsTerminal whether a person reads {@code err}: only then are there progress bars
 */
record Terminal(PrintWriter out, PrintWriter err, boolean outIsTerminal, boolean errIsTerminal) {
  /** That of this process. */
  static Terminal ofProcess() {
    return new Terminal(
        writer(FileDescriptor.out), writer(FileDescriptor.err), isTerminal(1), isTerminal(2));
  }

  /** {@code text} in bold where a person reads it. */
  String bold(String text) {
    return outIsTerminal ? "\u001b[1m" + text + "\u001b[0m" : text;
  }

  /** Whether nobody reads {@code out} any more; flushes. */
  boolean outIsBroken() {
    return out.checkError();
  }

  private static PrintWriter writer(FileDescriptor descriptor) {
    return new PrintWriter(
        new OutputStreamWriter(new FileOutputStream(descriptor), StandardCharsets.UTF_8), false);
  }

  private static boolean isTerminal(int descriptor) {
    if ("dumb".equals(System.getenv("TERM"))) return false;
    try {
      String target = Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
      return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
    } catch (IOException | UnsupportedOperationException e) {
      return false; // no such file system: plain output is always right
    }
  }
}
