package org.winnow;

import org.jspecify.annotations.Nullable;

/**
 * Base class of errors with files, memory and running models. Wrong arguments throw {@link
 * IllegalArgumentException} instead.
 */
public class WinnowException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public WinnowException(String message) {
    super(message);
  }

  public WinnowException(String message, @Nullable Throwable cause) {
    super(message, cause);
  }
}
