package org.winnow.models;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
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
import org.winnow.models.DecoderSpec.GroupedQueryAttention;
import org.winnow.models.DecoderSpec.Layer;
import org.winnow.models.DecoderSpec.Mlp;
import org.winnow.models.DecoderSpec.Norm;
import org.winnow.models.DecoderSpec.Projection;
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

  private static final int MAX_SENTENCES = 3; // of what is not supported, in a message

  private static final Family FOREIGN = new ForeignFamily();

  /** The family of this {@code model_type}. */
  static Family of(String modelType) {
    Family family = FAMILIES.get(modelType);
    return family == null ? FOREIGN : family;
  }

  /** All families that are supported, by {@code model_type}. */
  static Map<String, Family> supported() {
    return Collections.unmodifiableMap(FAMILIES);
  }

  /**
   * Checks that Winnow computes what a configuration describes. Whether it computes the types of
   * the tensors too, only these say.
   *
   * @throws UnsupportedFormatException naming the family or the keys that are not supported
   */
  static void requireSupported(ModelConfig config) {
    requireSupported(config.file(), config.modelType());
    if (!config.unsupported().isEmpty())
      throw new UnsupportedFormatException(config.file() + ": " + first(config.unsupported()));
  }

  private static String first(List<String> sentences) {
    int shown = Math.min(sentences.size(), MAX_SENTENCES);
    int more = sentences.size() - shown;
    return String.join("; ", sentences.subList(0, shown))
        + (more == 0 ? "" : "; and " + more + " more");
  }

  /**
   * @param file the configuration that names the type
   */
  static void requireSupported(Path file, String modelType) {
    if (!of(modelType).isSupported())
      throw new UnsupportedFormatException(
          file
              + ": model type "
              + modelType
              + " is not supported yet; these are: "
              + FAMILIES.keySet());
  }

  /**
   * Describes the decoder of a checkpoint.
   *
   * @throws UnsupportedFormatException as {@link #requireSupported}
   * @throws org.winnow.CheckpointException if the names of the tensors are contradictory
   */
  static DecoderSpec describe(ModelConfig config, DecoderNames names) {
    requireSupported(config);
    return of(config.modelType()).decoder(config, names);
  }

  private DecoderSpec decoder(ModelConfig config, DecoderNames names) {
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < config.numLayers(); i++) {
      String prefix = names.prefix() + "layers." + i;
      layers.add(
          new Layer(
              norm(config, prefix + ".input_layernorm"),
              attention(config, prefix + ".self_attn", i),
              norm(config, prefix + ".post_attention_layernorm"),
              mlp(config, names, prefix, i)));
    }
    return new DecoderSpec(
        config.vocabularySize(),
        config.hiddenSize(),
        config.contextLength(),
        (float) config.epsilon(),
        rope(config),
        names.embedding(),
        List.copyOf(layers),
        norm(config, names.prefix() + "norm"),
        names.output());
  }

  /** What the configurations of the family mean. */
  ConfigTable table() {
    return LlamaTable.table();
  }

  /** Whether Winnow computes models of this family. */
  boolean isSupported() {
    return true;
  }

  /** Whether the family's own code reads the type of each layer in {@code layer_types}. */
  boolean hasLayerTypes() {
    return false;
  }

  /** Whether a layer has a sliding window if the configuration does not name its type. */
  boolean slides(ConfigValues config, int layer) {
    return false;
  }

  /** The rope of configurations that say nothing about it; null for the standard one. */
  @Nullable Map<String, @Nullable Object> defaultRope() {
    return null;
  }

  /** The attention of a layer. The names of its tensors begin with {@code prefix}. */
  Attention attention(ModelConfig config, String prefix, int layer) {
    return groupedQuery(config, prefix, layer, 0, 0, null);
  }

  /**
   * The part of a layer after attention. The names of the layer's tensors begin with {@code
   * prefix}.
   */
  Mlp mlp(ModelConfig config, DecoderNames names, String prefix, int layer) {
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

  /** The same without biases, with the names of most families. */
  static ExpertMlp softmaxExperts(ModelConfig config, MoeNames moe) {
    return softmaxExperts(
        config,
        router(config, moe.router("gate"), false),
        moe.experts(moe.separate("gate_proj", "up_proj", "down_proj")));
  }

  /** The linear map to one logit per expert. */
  static Projection router(ModelConfig config, String name, boolean biased) {
    return new Projection(name, config.requireExperts().numExperts(), config.hiddenSize(), biased);
  }

  private static Norm norm(ModelConfig config, String name) {
    return new Norm(name + ".weight", config.hiddenSize());
  }

  private static RopeFrequencies rope(ModelConfig config) {
    ModelConfig.Rope rope = config.rope();
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
      default -> throw new IllegalStateException(rope.type()); // requireSupported names it
    };
  }
}
