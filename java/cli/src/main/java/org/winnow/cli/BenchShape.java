package org.winnow.cli;

import java.util.Locale;

/** One mixture-of-experts layer of a named model. */
enum BenchShape {
  MIXTRAL_LIKE("Mixtral-like", 2048, 4096, 8, 2),
  QWEN3_30B_A3B("Qwen3-30B-A3B", 2048, 768, 128, 8),
  OLMOE("OLMoE", 2048, 1024, 64, 8),
  GPT_OSS_20B("gpt-oss-20b", 2880, 2880, 32, 4),
  DEEPSEEK_V2_LITE("DeepSeek-V2-Lite", 2048, 1408, 64, 6);

  final String model;
  final int hiddenSize;
  final int intermediateSize;
  final int numExperts;
  final int topK;

  BenchShape(String model, int hiddenSize, int intermediateSize, int numExperts, int topK) {
    this.model = model;
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
    this.numExperts = numExperts;
    this.topK = topK;
  }

  /** As the option takes it. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }

  long expertParameters() {
    return 3L * hiddenSize * intermediateSize;
  }
}
