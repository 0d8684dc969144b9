package org.winnow.bench;

/** One MoE layer of a named model. */
public enum MoeShape {
  /** Mixtral's number of experts, at a width that fits this machine. */
  MIXTRAL_LIKE(2048, 4096, 8, 2),
  QWEN3_30B_A3B(2048, 768, 128, 8),
  OLMOE(2048, 1024, 64, 8),
  GPT_OSS_20B(2880, 2880, 32, 4),
  DEEPSEEK_V2_LITE(2048, 1408, 64, 6);

  public final int hiddenSize;
  public final int intermediateSize;
  public final int numExperts;
  public final int topK;

  MoeShape(int hiddenSize, int intermediateSize, int numExperts, int topK) {
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
    this.numExperts = numExperts;
    this.topK = topK;
  }
}
