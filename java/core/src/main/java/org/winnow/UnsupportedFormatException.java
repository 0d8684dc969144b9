package org.winnow;

/**
 * The checkpoint is valid, but Winnow does not support its architecture or format, which the
 * message names.
 */
public final class UnsupportedFormatException extends WinnowException {
  private static final long serialVersionUID = 1L;

  /** Longest message: a name in a damaged file may have thousands of characters. */
  private static final int MAX_MESSAGE = 800;

  /**
   * @param message what is not supported; a long one is shortened
   */
  public UnsupportedFormatException(String message) {
    super(message.length() <= MAX_MESSAGE ? message : message.substring(0, MAX_MESSAGE) + "...");
  }
}
