package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.winnow.UnsupportedFormatException;
import org.winnow.attention.RopeFrequencies;
import org.winnow.models.DecoderSpec.Attention;
import org.winnow.models.DecoderSpec.DenseMlp;
import org.winnow.models.DecoderSpec.ExpertMlp;
import org.winnow.models.DecoderSpec.ExpertTensors;
import org.winnow.models.DecoderSpec.GroupedQueryAttention;
import org.winnow.models.DecoderSpec.Layer;
import org.winnow.models.DecoderSpec.Mlp;
import org.winnow.models.DecoderSpec.Norm;
import org.winnow.models.DecoderSpec.Projection;
import org.winnow.models.DecoderSpec.SeparateExperts;
import org.winnow.op.TopKRouter;

/**
 * A family of models: the structure of its decoders and the tensor names of its checkpoints. This
 * class describes Llama. Every other family is a subclass that overrides what differs. {@link
 * #FAMILIES} lists them all.
 */
class Family {
  private static final Map<String, Family> FAMILIES =
      new TreeMap<>(
          Map.of(
              "deepseek_v3", new DeepseekV3Family(),
              "gpt_oss", new GptOssFamily(),
              "llama", new Family(),
              "mixtral", new MixtralFamily(),
              "olmoe", new OlmoeFamily(),
              "qwen2_moe", new Qwen2MoeFamily(),
              "qwen3_moe", new Qwen3MoeFamily()));

  /**
   * Describes the decoder of a checkpoint.
   *
   * @throws UnsupportedFormatException naming the family, quantization or position encoding that is
   *     not supported
   */
  static DecoderSpec describe(ModelConfig config) {
    Family family = FAMILIES.get(config.modelType());
    if (family == null) {
      throw new UnsupportedFormatException(
          config.file()
              + ": model type "
              + config.modelType()
              + " is not supported yet; these are: "
              + FAMILIES.keySet());
    }
    if (config.quantization() != null) {
      throw new UnsupportedFormatException(
          config.file()
              + ": quantization "
              + config.quantization()
              + " is not supported yet; F32, BF16 and F16 weights are");
    }
    return family.decoder(config);
  }

  private DecoderSpec decoder(ModelConfig config) {
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < config.numLayers(); i++) {
      String prefix = "model.layers." + i;
      layers.add(
          new Layer(
              norm(config, prefix + ".input_layernorm"),
                  attention(config, prefix + ".self_attn", i),
              norm(config, prefix + ".post_attention_layernorm"), mlp(config, prefix, i)));
    }
    String embedding = "model.embed_tokens.weight";
    return new DecoderSpec(
        config.vocabularySize(),
        config.hiddenSize(),
        config.contextLength(),
        (float) config.epsilon(),
        rope(config),
        embedding,
        List.copyOf(layers),
        norm(config, "model.norm"),
        config.tiedEmbeddings() ? embedding : "lm_head.weight");
  }

  /** The attention of a layer. The names of its tensors begin with {@code prefix}. */
  Attention attention(ModelConfig config, String prefix, int layer) {
    return groupedQuery(config, prefix, layer, 0, 0, null);
  }

  /**
   * The part of a layer after attention. The names of the layer's tensors begin with {@code
   * prefix}.
   */
  Mlp mlp(ModelConfig config, String prefix, int layer) {
    return dense(config, prefix + ".mlp", config.intermediateSize());
  }

  /**
   * @param queryNormSize size of the norm on q, 0 for none
   * @param keyNormSize size of the norm on k, 0 for none
   * @param sinks name of the sink logits, or null
   */
  static GroupedQueryAttention groupedQuery(
      ModelConfig config,
      String prefix,
      int layer,
      long queryNormSize,
      long keyNormSize,
      @Nullable String sinks) {
    ModelConfig.Attention attention = config.attention();
    long hidden = config.hiddenSize();
    long queries = (long) attention.numHeads() * attention.headDim();
    long keys = (long) attention.numKvHeads() * attention.headDim();
    return new GroupedQueryAttention(
        attention.numHeads(),
        attention.numKvHeads(),
        attention.headDim(),
        new Projection(prefix + ".q_proj", queries, hidden, attention.qkvBias()),
        new Projection(prefix + ".k_proj", keys, hidden, attention.qkvBias()),
        new Projection(prefix + ".v_proj", keys, hidden, attention.qkvBias()),
        new Projection(prefix + ".o_proj", hidden, queries, attention.outputBias()),
        queryNormSize == 0 ? null : new Norm(prefix + ".q_norm.weight", queryNormSize),
        keyNormSize == 0 ? null : new Norm(prefix + ".k_norm.weight", keyNormSize),
        (float) attention.clip(),
        attention.slidingWindows().get(layer),
        sinks);
  }

  static DenseMlp dense(ModelConfig config, String prefix, long intermediateSize) {
    return new DenseMlp(
        new Projection(
            prefix + ".gate_proj", intermediateSize, config.hiddenSize(), config.mlpBias()),
        new Projection(
            prefix + ".up_proj", intermediateSize, config.hiddenSize(), config.mlpBias()),
        new Projection(
            prefix + ".down_proj", config.hiddenSize(), intermediateSize, config.mlpBias()),
        config.activation());
  }

  /** Experts chosen by softmax, without shared experts. */
  static ExpertMlp softmaxExperts(ModelConfig config, Projection router, ExpertTensors tensors) {
    ModelConfig.Experts experts = config.requireExperts();
    TopKRouter.Builder rule = TopKRouter.softmax(experts.topK()).renormalise(experts.renormalise());
    return new ExpertMlp(
        experts.numExperts(),
        experts.intermediateSize(),
        router,
        rule,
        null,
        tensors,
        config.activation(),
        null,
        null);
  }

  /** The linear map to one logit per expert. */
  static Projection router(ModelConfig config, String name, boolean biased) {
    return new Projection(name, config.requireExperts().numExperts(), config.hiddenSize(), biased);
  }

  /**
   * One tensor per expert and matrix, such as {@code prefix.3.gate.weight}. The other arguments are
   * the family's names for the three matrices.
   */
  static SeparateExperts separate(String prefix, String gate, String up, String down) {
    return new SeparateExperts(
        expert -> prefix + "." + expert + "." + gate + ".weight",
        expert -> prefix + "." + expert + "." + up + ".weight",
        expert -> prefix + "." + expert + "." + down + ".weight");
  }

  private static Norm norm(ModelConfig config, String name) {
    return new Norm(name + ".weight", config.hiddenSize());
  }

  private static RopeFrequencies rope(ModelConfig config) {
    ModelConfig.Rope rope = config.rope();
    if (rope.partialFactor() != 1) {
      throw new UnsupportedFormatException(
          config.file()
              + ": partial_rotary_factor "
              + rope.partialFactor()
              + " is not supported yet");
    }
    ModelConfig.LatentAttention latent = config.latentAttention();
    int width = latent == null ? config.attention().headDim() : latent.ropeDim();
    return switch (rope.type()) {
      case "default" -> RopeFrequencies.standard(width, rope.theta());
      case "linear" -> RopeFrequencies.linear(width, rope.theta(), rope.factor());
      case "llama3" ->
          RopeFrequencies.llama3(
              width,
              rope.theta(),
              rope.factor(),
              Objects.requireNonNull(rope.lowFactor()),
              Objects.requireNonNull(rope.highFactor()),
              rope.originalContextLength());
      case "yarn" ->
          RopeFrequencies.yarn(
              width,
              rope.theta(),
              new RopeFrequencies.Yarn(
                  rope.factor(),
                  rope.originalContextLength(),
                  Objects.requireNonNull(rope.betaFast()),
                  Objects.requireNonNull(rope.betaSlow()),
                  rope.truncate(),
                  rope.attentionFactor(),
                  rope.mscale(),
                  rope.mscaleAllDim()));
      default ->
          throw new UnsupportedFormatException(
              config.file() + ": rope type " + rope.type() + " is not supported yet");
    };
  }
}
