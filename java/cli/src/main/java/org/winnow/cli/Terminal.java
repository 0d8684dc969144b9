package org.winnow.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The standard streams of a command. Results go to {@code out}; progress, summaries and errors go
 * to {@code err}. Both are always UTF-8, so generated text does not depend on the locale.
 *
 * @param outBytes the stream under {@code out}, for results that are no text
 * @param outIsTerminal whether {@code out} is a terminal
 * @param errIsTerminal whether {@code err} is a terminal; only then are progress bars shown
 */
record Terminal(
    InputStream in,
    PrintWriter out,
    OutputStream outBytes,
    PrintWriter err,
    boolean outIsTerminal,
    boolean errIsTerminal) {
  /** The standard streams of this process. */
  static Terminal ofProcess(Output out) {
    return new Terminal(
        System.in,
        writer(out),
        out,
        writer(new FileOutputStream(FileDescriptor.err)),
        isTerminal(1),
        isTerminal(2));
  }

  /**
   * The standard output of this process. It keeps the reason of a failed write, which a PrintWriter
   * hides.
   */
  static final class Output extends FileOutputStream {
    private @Nullable String failure;

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

    /** Why the last failed write failed, or null if none failed. */
    @Nullable String failure() {
      return failure;
    }

    /** Whether the output is a pipe or socket, whose reader may exit. */
    boolean isPipe() {
      String target = target(1);
      return target.startsWith("pipe:") || target.startsWith("socket:");
    }
  }

  /** These streams with what goes to {@code out} in {@code err} instead. */
  Terminal withoutOut() {
    return new Terminal(in, err, outBytes, err, errIsTerminal, errIsTerminal);
  }

  /** {@code text}, in bold if {@code out} is a terminal. */
  String bold(String text) {
    return outIsTerminal ? "\u001b[1m" + text + "\u001b[0m" : text;
  }

  /** Flushes {@code out}. Returns whether writing to it has failed. */
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

  /**
   * What a file descriptor refers to. Empty if the system does not tell; then the output is plain,
   * which is always correct.
   */
  private static String target(int descriptor) {
    try {
      return Files.readSymbolicLink(Path.of("/proc/self/fd/" + descriptor)).toString();
    } catch (IOException | UnsupportedOperationException e) {
      return "";
    }
  }
}
