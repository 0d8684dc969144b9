package org.winnow;

/** A memory budget is smaller than what must be held at the same time. */
public final class BudgetException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final long requiredBytes;
  private final long foundBytes;

  /**
   * @param what the budget's name for its user, such as {@code "expert budget"}
   * @param requiredBytes the smallest sufficient budget
   */
  public BudgetException(String what, long requiredBytes, long foundBytes) {
    super(what + ": expected at least " + requiredBytes + " bytes, found " + foundBytes);
    this.requiredBytes = requiredBytes;
    this.foundBytes = foundBytes;
  }

  /** The smallest sufficient budget. */
  public long requiredBytes() {
    return requiredBytes;
  }

  public long foundBytes() {
    return foundBytes;
  }
}
