package org.winnow.workload;

import org.winnow.DType;

/**
 * Attention heads of a named model. Latent attention is in its absorbed form: one key for all
 * heads, whose first elements are the value.
 */
public enum AttentionShape {
  QWEN3_30B_A3B("Qwen3-30B-A3B", 32, 4, 128, 128, false, 40_960),
  OLMOE("OLMoE", 16, 16, 128, 128, false, 4096),
  GPT_OSS_20B("gpt-oss-20b", 64, 8, 64, 64, false, 131_072),
  DEEPSEEK_V2_LITE("DeepSeek-V2-Lite", 16, 1, 576, 512, true, 163_840),
  /** Small enough for an interpreter of kernels. */
  KJV_MOE("kjv-moe", 8, 4, 32, 32, false, 1024);

  private final String model;
  private final int numHeads;
  private final int numKvHeads;
  private final int keyWidth;
  private final int valueWidth;
  private final boolean latent;
  private final int contextLimit;

  AttentionShape(
      String model,
      int numHeads,
      int numKvHeads,
      int keyWidth,
      int valueWidth,
      boolean latent,
      int contextLimit) {
    this.model = model;
    this.numHeads = numHeads;
    this.numKvHeads = numKvHeads;
    this.keyWidth = keyWidth;
    this.valueWidth = valueWidth;
    this.latent = latent;
    this.contextLimit = contextLimit;
  }

  /** The model's name as its authors write it. */
  public String model() {
    return model;
  }

  /** Query heads. */
  public int numHeads() {
    return numHeads;
  }

  /** Heads of keys and values, a divisor of {@link #numHeads()}. */
  public int numKvHeads() {
    return numKvHeads;
  }

  /** Elements of a head's key, and of its query. */
  public int keyWidth() {
    return keyWidth;
  }

  /** Elements of a head's value. */
  public int valueWidth() {
    return valueWidth;
  }

  /** Whether values are the first elements of keys. */
  public boolean isLatent() {
    return latent;
  }

  /** The most positions that the model was made for. */
  public int contextLimit() {
    return contextLimit;
  }

  /**
   * Causal attention of the last tokens: query t meets {@code numPositions - numTokens + t + 1}
   * keys. Keys and values are read once each.
   *
   * @param element of the cache
   * @param numTokens queries
   * @param numPositions keys, the queries' own among them
   */
  public Work causal(DType element, long numTokens, long numPositions) {
    double pairs =
        (double) numTokens * (numPositions - numTokens) + numTokens * (numTokens + 1.0) / 2;
    return attention(element, numPositions, pairs);
  }

  /** The same over a cache of f32. */
  public Work causal(long numTokens, long numPositions) {
    return causal(DType.F32, numTokens, numPositions);
  }

  /** Attention without a mask: every query meets every key. */
  public Work dense(DType element, long numTokens, long numPositions) {
    return attention(element, numPositions, (double) numTokens * numPositions);
  }

  /** The same over a cache of f32. */
  public Work dense(long numTokens, long numPositions) {
    return dense(DType.F32, numTokens, numPositions);
  }

  private Work attention(DType element, long numPositions, double pairs) {
    int width = latent ? keyWidth : keyWidth + valueWidth;
    return new Work(
        (double) numPositions * numKvHeads * width * element.sizeBytes(),
        2.0 * pairs * numHeads * (keyWidth + valueWidth));
  }
}
