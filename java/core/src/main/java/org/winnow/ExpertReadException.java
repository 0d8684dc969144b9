package org.winnow;

import java.nio.file.Path;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Reading weights from their file failed: the system reported an error, the file ends too early, or
 * it has changed since it was opened. Nothing of the expert or tensor stays in memory.
 */
public final class ExpertReadException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final transient Path file;
  private final String what;
  private final long offsetBytes;
  private final long expectedBytes;
  private final long foundBytes;

  /**
   * @param what the expert or tensor being read, such as {@code "layer 3, expert 17:
   *     the.tensor's.name"}
   * @param offsetBytes where in the file the read began
   * @param expectedBytes number of bytes requested
   * @param foundBytes number of bytes found; -1 if the system reported an error or the file has
   *     changed, which the cause then says
   */
  public ExpertReadException(
      Path file,
      String what,
      long offsetBytes,
      long expectedBytes,
      long foundBytes,
      @Nullable Throwable cause) {
    super(
        file
            + ": "
            + what
            + ": expected "
            + expectedBytes
            + " bytes at offset "
            + offsetBytes
            + ", found "
            + (foundBytes >= 0
                ? Long.toString(foundBytes)
                : Objects.requireNonNull(cause).getMessage()),
        cause);
    this.file = file;
    this.what = what;
    this.offsetBytes = offsetBytes;
    this.expectedBytes = expectedBytes;
    this.foundBytes = foundBytes;
  }

  public Path file() {
    return file;
  }

  /** The expert or tensor being read. */
  public String what() {
    return what;
  }

  public long offsetBytes() {
    return offsetBytes;
  }

  public long expectedBytes() {
    return expectedBytes;
  }

  /** Number of bytes found, or -1 if the system reported an error or the file has changed. */
  public long foundBytes() {
    return foundBytes;
  }
}
