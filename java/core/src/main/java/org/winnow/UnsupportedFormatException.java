package org.winnow;

/**
 * The checkpoint is valid, but Winnow does not support its architecture or format, which the
 * message names.
 */
public final class UnsupportedFormatException extends WinnowException {
  private static final long serialVersionUID = 1L;

  public UnsupportedFormatException(String message) {
    super(message);
  }
}
