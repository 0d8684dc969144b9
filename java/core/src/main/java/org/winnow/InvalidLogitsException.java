package org.winnow;

/** Logits that nothing can be chosen from: one is NaN, or the largest is not finite. */
public final class InvalidLogitsException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final long token;

  /**
   * @param token the first token of the call at fault
   */
  public InvalidLogitsException(long token) {
    super("logits of token " + token + ": expected no NaN and a finite maximum, found otherwise");
    this.token = token;
  }

  /**
   * @param token the token of the call at fault
   * @param index which of its logits
   * @param found that logit
   */
  public InvalidLogitsException(long token, long index, float found) {
    super(
        "logits of token "
            + token
            + ": expected no NaN and a finite maximum, found "
            + found
            + " at index "
            + index);
    this.token = token;
  }

  /** The first token of the call at fault. */
  public long token() {
    return token;
  }
}
