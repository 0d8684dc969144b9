package org.winnow.workload;

import java.util.Locale;
import org.winnow.DType;

/** One mixture-of-experts layer of a named model. Experts have gate, up and down matrices. */
public enum MoeShape {
  /** Mixtral's number of experts, at a width that fits a small machine. */
  MIXTRAL_LIKE("Mixtral-like", 2048, 4096, 8, 2),
  QWEN3_30B_A3B("Qwen3-30B-A3B", 2048, 768, 128, 8),
  OLMOE("OLMoE", 2048, 1024, 64, 8),
  GPT_OSS_20B("gpt-oss-20b", 2880, 2880, 32, 4),
  DEEPSEEK_V2_LITE("DeepSeek-V2-Lite", 2048, 1408, 64, 6),
  /** The model that the demo runs; small enough for an interpreter of kernels. */
  KJV_MOE("kjv-moe", 256, 96, 32, 4);

  private final String model;
  private final int hiddenSize;
  private final int intermediateSize;
  private final int numExperts;
  private final int topK;

  MoeShape(String model, int hiddenSize, int intermediateSize, int numExperts, int topK) {
    this.model = model;
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
    this.numExperts = numExperts;
    this.topK = topK;
  }

  /** The five whose speed is judged. Their experts do not fit the caches of a processor. */
  public static MoeShape[] judged() {
    return new MoeShape[] {MIXTRAL_LIKE, QWEN3_30B_A3B, OLMOE, GPT_OSS_20B, DEEPSEEK_V2_LITE};
  }

  /** The model's name as its authors write it. */
  public String model() {
    return model;
  }

  public int hiddenSize() {
    return hiddenSize;
  }

  /** Width of an expert. */
  public int intermediateSize() {
    return intermediateSize;
  }

  public int numExperts() {
    return numExperts;
  }

  /** Experts that a token goes to. */
  public int topK() {
    return topK;
  }

  /** Elements of one of an expert's three matrices. */
  public long matrixElements() {
    return (long) hiddenSize * intermediateSize;
  }

  /** Elements of an expert's three matrices. */
  public long expertElements() {
    return 3 * matrixElements();
  }

  /**
   * The feed-forward block for tokens that are routed already: {@code numMatrices * 3 * hiddenSize
   * * intermediateSize} weights are read, and each row is multiplied by all of an expert's. Hidden
   * states are not counted.
   *
   * @param type of the weights
   * @param numRows token-expert pairs
   * @param numDistinct experts that have rows
   */
  public Work feedForward(DType type, long numRows, long numDistinct) {
    return new Work(
        (double) numDistinct * expertElements() * type.sizeBytes(),
        2.0 * numRows * expertElements());
  }

  /** The feed-forward block where every token goes through every expert. */
  public Work denseFeedForward(DType type, long numTokens) {
    return feedForward(type, numTokens * numExperts, numExperts);
  }

  /** The whole layer: {@link #feedForward} and the router's matrix [numExperts, hiddenSize]. */
  public Work layer(DType type, long numTokens, long numRows, long numDistinct) {
    Work experts = feedForward(type, numRows, numDistinct);
    double routerElements = (double) numExperts * hiddenSize;
    return new Work(
        experts.bytes() + routerElements * type.sizeBytes(),
        experts.operations() + 2 * numTokens * routerElements);
  }

  /** The whole layer where every token goes through every expert. */
  public Work denseLayer(DType type, long numTokens) {
    return layer(type, numTokens, numTokens * numExperts, numExperts);
  }

  /** The name that command-line options take. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
