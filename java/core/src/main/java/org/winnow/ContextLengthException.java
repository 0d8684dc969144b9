package org.winnow;

/** A sequence would exceed its maximum length. It is unchanged. */
public final class ContextLengthException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final int contextLimit;
  private final long requested;

  /**
   * @param contextLimit the most tokens that the sequence may hold
   * @param requested the tokens that it would have held
   */
  public ContextLengthException(int contextLimit, long requested) {
    this(contextLimit, requested, "found ");
  }

  private ContextLengthException(int contextLimit, long requested, String found) {
    super("sequence must hold at most " + contextLimit + " tokens, " + found + requested);
    this.contextLimit = contextLimit;
    this.requested = requested;
  }

  /**
   * The exception for a text that is refused before all of it is encoded.
   *
   * @param contextLimit the most tokens that the sequence may hold
   * @param requested the fewest tokens that it would have held
   */
  public static ContextLengthException atLeast(int contextLimit, long requested) {
    return new ContextLengthException(contextLimit, requested, "found at least ");
  }

  /** The most tokens that the sequence may hold. */
  public int contextLimit() {
    return contextLimit;
  }

  /** The tokens that it would have held, or the fewest if the text was not encoded. */
  public long requested() {
    return requested;
  }
}
