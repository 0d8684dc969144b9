package org.winnow.bench;

/** Attention of named models at a phase of generation. */
public enum AttentionShape {
  QWEN3_30B_PREFILL(512, 2048, 32, 4, 128),
  QWEN3_30B_DECODE(1, 8192, 32, 4, 128),
  OLMOE_PREFILL(512, 2048, 16, 16, 128),
  OLMOE_DECODE(1, 4096, 16, 16, 128),
  GPT_OSS_20B_PREFILL(512, 2048, 64, 8, 64),
  GPT_OSS_20B_DECODE(1, 8192, 64, 8, 64);

  final int numTokens;
  final int numPositions;
  final int numHeads;
  final int numKvHeads;
  final int headDim;

  AttentionShape(int numTokens, int numPositions, int numHeads, int numKvHeads, int headDim) {
    this.numTokens = numTokens;
    this.numPositions = numPositions;
    this.numHeads = numHeads;
    this.numKvHeads = numKvHeads;
    this.headDim = headDim;
  }

  /** Multiplications and additions that a causal mask leaves. */
  double operations() {
    double keys =
        (double) numTokens * (numPositions - numTokens) + numTokens * (numTokens + 1.0) / 2;
    return 4 * keys * numHeads * headDim;
  }

  /** Keys and values, each once. */
  double bytes() {
    return 2.0 * numPositions * numKvHeads * headDim * Float.BYTES;
  }
}
