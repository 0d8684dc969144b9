package org.winnow;

/**
 * A valid checkpoint of a kind that cannot be computed: the message names the architecture or the
 * format.
 */
public final class UnsupportedFormatException extends WinnowException {
  private static final long serialVersionUID = 1L;

  public UnsupportedFormatException(String message) {
    super(message);
  }
}
