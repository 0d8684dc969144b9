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
    super("sequence must hold at most " + contextLimit + " tokens, found " + requested);
    this.contextLimit = contextLimit;
    this.requested = requested;
  }

  /** The most tokens that the sequence may hold. */
  public int contextLimit() {
    return contextLimit;
  }

  /** The tokens that it would have held. */
  public long requested() {
    return requested;
  }
}
