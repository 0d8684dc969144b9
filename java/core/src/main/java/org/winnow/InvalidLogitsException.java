package org.winnow;

/** No choice can be made from these logits: one is NaN, or the largest is not finite. */
public final class InvalidLogitsException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final long token;

  /**
   * @param token index of the first faulty token in the call
   */
  public InvalidLogitsException(long token) {
    super("logits of token " + token + ": expected no NaN and a finite maximum, found otherwise");
    this.token = token;
  }

  /**
   * @param token index of the faulty token in the call
   * @param index index of the faulty logit
   * @param found its value
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

  /** Index of the first faulty token in the call. */
  public long token() {
    return token;
  }
}
