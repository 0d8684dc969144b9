package org.winnow.op;

/**
 * Activations that a grouped GEMM applies to its result. With gated matrices there are two values,
 * the gate g and the up value u; otherwise only g. The order is that of {@code winnow::Activation}
 * in {@code winnow/base/activation.h}.
 */
public enum Activation {
  /** g. If gated: g * u. */
  NONE,
  /** g * sigmoid(g). If gated, multiplied by u; so are the next three. */
  SILU,
  /** g * (1 + erf(g / sqrt(2))) / 2. */
  GELU_ERF,
  /** g * (1 + tanh(sqrt(2 / pi) * (g + 0.044715 * g^3))) / 2. */
  GELU_TANH,
  /** max(g, 0). */
  RELU,
  /**
   * g' * sigmoid(1.702 * g') * (u' + 1), where g' = min(g, 7) and u' = clamp(u, -7, 7). For gated
   * matrices only; gpt-oss uses it.
   */
  CLAMPED_SWIGLU,
  /** max(g, 0)^2. If gated, multiplied by u. Nemotron-3 uses it without a gate. */
  RELU_SQUARED,
  /** max(g, 0). If gated: max(g, 0) * max(u, 0). TurboSparse, arXiv:2406.05955. */
  DRELU;

  /** The number of this activation in native contracts. */
  public int code() {
    return ordinal();
  }

  /** Whether it needs an up value, and so gated matrices. */
  public boolean needsGate() {
    return this == CLAMPED_SWIGLU;
  }
}
