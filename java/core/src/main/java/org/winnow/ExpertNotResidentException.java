package org.winnow;

/** An operation needs an expert whose weights are not in memory. */
public final class ExpertNotResidentException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final int expert;

  public ExpertNotResidentException(int expert) {
    super("expert " + expert + " has rows, so its weights must be resident; found none");
    this.expert = expert;
  }

  /** The first such expert. */
  public int expert() {
    return expert;
  }
}
