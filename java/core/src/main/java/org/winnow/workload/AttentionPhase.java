package org.winnow.workload;

/** A phase of generation: how many new tokens attend, and to how many positions. */
public enum AttentionPhase {
  PREFILL(512, 2048),
  DECODE(1, 8192);

  private final int numTokens;
  private final int numPositions;

  AttentionPhase(int numTokens, int numPositions) {
    this.numTokens = numTokens;
    this.numPositions = numPositions;
  }

  /** New tokens. */
  public int numTokens() {
    return numTokens;
  }

  /** All positions, at most as many as the model was made for. */
  public int numPositions(AttentionShape shape) {
    return Math.min(numPositions, shape.contextLimit());
  }
}
