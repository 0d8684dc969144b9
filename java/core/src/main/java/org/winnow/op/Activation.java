package org.winnow.op;

/**
 * Activations that are fused into a product. The order is that of {@code winnow::Activation} in
 * {@code winnow/base/activation.h}.
 */
public enum Activation {
  /** g; gated: g * u. */
  NONE,
  /** g * sigmoid(g); gated: times u, as for the next three. */
  SILU,
  /** g * (1 + erf(g / sqrt(2))) / 2. */
  GELU_ERF,
  /** g * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 * g^3))) / 2. */
  GELU_TANH,
  /** max(g, 0). */
  RELU,
  /**
   * Gated only, gpt-oss's: g' * sigmoid(1.702 * g') * (u' + 1), where g' = min(g, 7) and u' =
   * clamp(u, -7, 7).
   */
  CLAMPED_SWIGLU;

  /** The number that contracts use. */
  public int code() {
    return ordinal();
  }

  /** Whether it is defined only for a pair of values, a gate and an up. */
  public boolean needsGate() {
    return this == CLAMPED_SWIGLU;
  }
}
