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
  static Terminal ofProcess(Output out) {
    return new Terminal(
        writer(out),
        writer(new FileOutputStream(FileDescriptor.err)),
        isTerminal(1),
        isTerminal(2));
  }

  /** Standard output of this process; keeps what a PrintWriter does not tell. */
  static final class Output extends FileOutputStream {
    private String failure;

    Output() {
      super(FileDescriptor.out);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      try {
        super.write(bytes, offset, length);
      } catch (IOException e) {
        failure = e.getMessage();
        throw e;
      }
    }

    /** Why it could not be written, or null. */
    String failure() {
      return failure;
    }

    /** Whether it had a reader, who may go. */
    boolean isPipe() {
      String target = target(1);
      return target.startsWith("pipe:") || target.startsWith("socket:");
    }
  }

  /** {@code text} in bold where a person reads it. */
  String bold(String text) {
    return outIsTerminal ? "\u001b[1m" + text + "\u001b[0m" : text;
  }

  /** Whether {@code out} cannot be written any more; flushes. */
  boolean outIsBroken() {
    return out.checkError();
  }

  private static PrintWriter writer(FileOutputStream out) {
    return new PrintWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8), false);
  }

  private static boolean isTerminal(int descriptor) {
    if ("dumb".equals(System.getenv("TERM"))) return false;
    String target = target(descriptor);
    return target.startsWith("/dev/pts/") || target.startsWith("/dev/tty");
  }

  /** What is open there; empty if this system does not say: plain output is always right. */
  private static String target(int descriptor) {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
    } catch (IOException | UnsupportedOperationException e) {
      return "";
    }
  }
}
