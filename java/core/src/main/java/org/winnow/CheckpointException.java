package org.winnow;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A checkpoint's weights, index, configuration or tokenizer are invalid. Nothing of the checkpoint
 * stays loaded.
 */
public final class CheckpointException extends WinnowException {
  private static final long serialVersionUID = 1L;

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
            + (tensor == null ? "" : tensor + ": ")
            + "expected "
            + expected
            + ", found "
            + found,
        cause);
    this.file = file;
    this.tensor = tensor;
    this.expected = expected;
    this.found = found;
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
