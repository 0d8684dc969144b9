package org.winnow;

/**
 * Base of what can go wrong with files, memory and running models. Wrong arguments are {@link
 * IllegalArgumentException}.
 */
public class WinnowException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public WinnowException(String message) {
    super(message);
  }

  public WinnowException(String message, Throwable cause) {
    super(message, cause);
  }
}
