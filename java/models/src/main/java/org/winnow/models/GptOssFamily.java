package org.winnow.models;

import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.InterleavedExperts;
import org.winnow.models.DecoderSpec.Mlp;

/**
 * gpt-oss: attention sinks; a sliding window in every other layer; biases everywhere; each matrix
 * of all experts of a layer in one tensor. arXiv:2508.10925.
 */
final class GptOssFamily extends Family {
  @Override
  Attention attention(ModelConfig config, String prefix, int layer) {
    return groupedQuery(config, prefix, layer, 0, 0, prefix + ".sinks");
  }

  @Override
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    String experts = prefix + ".mlp.experts";
    return softmaxExperts(
        config,
        router(config, prefix + ".mlp.router", true),
        new InterleavedExperts(
            experts + ".gate_up_proj",
            experts + ".gate_up_proj_bias",
            experts + ".down_proj",
            experts + ".down_proj_bias"));
  }
}
