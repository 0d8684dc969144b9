package org.winnow;

/** A budget too small for what it must hold at once. */
public final class BudgetException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final long requiredBytes;
  private final long foundBytes;

  /**
   * @param what the budget, as its user calls it: {@code "expert budget"}
   * @param requiredBytes the least that it must be
   */
  public BudgetException(String what, long requiredBytes, long foundBytes) {
    super(what + ": expected at least " + requiredBytes + " bytes, found " + foundBytes);
    this.requiredBytes = requiredBytes;
    this.foundBytes = foundBytes;
  }

  /** The least that the budget must be. */
  public long requiredBytes() {
    return requiredBytes;
  }

  public long foundBytes() {
    return foundBytes;
  }
}
