package org.winnow;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint's weights, index, configuration or tokenizer are invalid. Nothing of the checkpoint
 * stays loaded. The message shortens long names and values; the methods return them whole.
 */
public final class CheckpointException extends WinnowException {
  private static final long serialVersionUID = 1L;

  /** Longest part of a message: a name in a damaged file may have thousands of characters. */
  private static final int MAX_PART = 200;

  private final transient Path file;
  private final @Nullable String tensor;
  private final String expected;
  private final String found;

  /**
   * @param file the file at fault
   * @param tensor the tensor or key at fault, or null where it is the file as a whole
   * @param expected what should be there
   * @param found what is there
   */
  public CheckpointException(Path file, @Nullable String tensor, String expected, String found) {
    this(file, tensor, expected, found, null);
  }

  public CheckpointException(
      Path file,
      @Nullable String tensor,
      String expected,
      String found,
      @Nullable Throwable cause) {
    super(
        file
            + ": "
            + (tensor == null ? "" : part(tensor) + ": ")
            + "expected "
            + part(expected)
            + ", found "
            + part(found),
        cause);
    this.file = file;
    this.tensor = tensor;
    this.expected = expected;
    this.found = found;
  }

  /** A part of the message, without control characters; in quotes if blanks would not be seen. */
  private static String part(String text) {
    String begin = text.length() <= MAX_PART ? text : text.substring(0, MAX_PART) + "...";
    String plain = begin.replaceAll("\\s", " ").replaceAll("\\p{Cntrl}", "?");
    return plain.isEmpty() || !plain.strip().equals(plain) ? '"' + plain + '"' : plain;
  }

  /** The file at fault. */
  public Path file() {
    return file;
  }

  /** The tensor or key at fault, or null where it is the file as a whole. */
  public @Nullable String tensor() {
    return tensor;
  }

  public String expected() {
    return expected;
  }

  public String found() {
    return found;
  }
}
