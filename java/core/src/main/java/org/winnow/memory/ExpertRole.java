package org.winnow.memory;

/**
 * The parts of an expert. GATE and DOWN are in every expert; one without UP is not gated: its inner
 * layer is the activation of what GATE yields.
 */
public enum ExpertRole {
  /** Matrix [intermediateSize, hiddenSize]. */
  GATE,

  /** Matrix [intermediateSize, hiddenSize], in the format of GATE. */
  UP,

  /** Matrix [hiddenSize, intermediateSize]. */
  DOWN,

  /** [intermediateSize], added to what GATE yields. */
  GATE_BIAS,

  /** [intermediateSize], added to what UP yields. */
  UP_BIAS,

  /** [hiddenSize], added to what DOWN yields. */
  DOWN_BIAS;

  boolean isBias() {
    return this == GATE_BIAS || this == UP_BIAS || this == DOWN_BIAS;
  }

  /** Whether its rows are those of the residual stream, not of the inner layer. */
  boolean yieldsHidden() {
    return this == DOWN || this == DOWN_BIAS;
  }
}
