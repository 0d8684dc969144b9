package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;
import org.winnow.op.Activation;

/**
 * What a checkpoint's {@code config.json} says, whatever spelling it uses, with the defaults of its
 * family filled in.
 *
 * @param file the {@code config.json}
 * @param modelType such as {@code "qwen3_moe"}
 * @param architectures class names such as {@code "Qwen3MoeForCausalLM"}; may be empty
 * @param storedType element type of the weights such as {@code "bfloat16"}, or null
 * @param intermediateSize width of the dense feed-forward layers; 0 where every layer has experts
 *     and none is given
 * @param contextLength positions that the model was made for
 * @param epsilon of the norms
 * @param hiddenActivation name of the activation, see {@link #activation()}
 * @param tiedEmbeddings whether the output layer is the embedding table
 * @param mlpBias whether the dense feed-forward layers have biases
 * @param layerTypes one name per layer such as {@code "sliding_attention"}; empty if not given
 * @param latentAttention null unless keys and values are latent (MLA)
 * @param indexer null unless attention chooses its tokens (DeepSeek-V3.2)
 * @param experts null for a dense model
 * @param quantization method such as {@code "fp8"} or {@code "mxfp4"}, or null
 * @param beginTokens ids that begin a text; may be empty
 * @param stopTokens ids that end one, those of {@code generation_config.json} if it has any; may be
 *     empty
 */
public record ModelConfig(
    Path file,
    String modelType,
    List<String> architectures,
    String storedType,
    int vocabularySize,
    int hiddenSize,
    int intermediateSize,
    int numLayers,
    int contextLength,
    double epsilon,
    String hiddenActivation,
    boolean tiedEmbeddings,
    boolean mlpBias,
    List<String> layerTypes,
    Attention attention,
    LatentAttention latentAttention,
    Indexer indexer,
    Rope rope,
    Experts experts,
    String quantization,
    List<Integer> beginTokens,
    List<Integer> stopTokens) {

  /**
   * @param headDim width of a head; of q and k where attention is latent
   * @param qkvBias whether the projections to q, k and v have biases
   * @param outputBias whether the projection behind attention has one
   * @param clip q, k and v are clamped to plus or minus this; 0 for not at all
   * @param slidingWindows per layer: how many tokens back a query sees, itself included; 0 for all
   */
  public record Attention(
      int numHeads,
      int numKvHeads,
      int headDim,
      boolean qkvBias,
      boolean outputBias,
      double clip,
      List<Integer> slidingWindows) {}

  /**
   * @param queryRank width of the latent query; 0 where q is projected directly
   * @param latentRank width of what is cached for keys and values together
   * @param nopeDim part of a head of q and k without rotation
   * @param ropeDim part with rotation, shared by the heads of k
   * @param interleavedRope whether pairs are (2i, 2i + 1) and not (i, i + D/2)
   */
  public record LatentAttention(
      int queryRank,
      int latentRank,
      int nopeDim,
      int ropeDim,
      int valueDim,
      boolean interleavedRope) {}

  /** Lightning indexer: which {@code topK} tokens a query attends to. */
  public record Indexer(int numHeads, int headDim, int topK) {}

  /**
   * Rotary positions. What a type does not use is null.
   *
   * @param type {@code default}, {@code linear}, {@code llama3}, {@code yarn}, or another name that
   *     nothing computes
   * @param factor by which the context is extended; 1 for {@code default}
   * @param originalContextLength before the extension
   * @param truncate YaRN: whether the bounds of its ramp are rounded outward
   * @param partialFactor share of a head's width that is rotated
   */
  public record Rope(
      String type,
      double theta,
      double factor,
      int originalContextLength,
      Double lowFactor,
      Double highFactor,
      Double betaFast,
      Double betaSlow,
      boolean truncate,
      Double attentionFactor,
      Double mscale,
      Double mscaleAllDim,
      double partialFactor) {}

  /**
   * @param intermediateSize width of one expert
   * @param renormalise whether the chosen experts' weights are divided by their sum
   * @param scalingFactor by which the weights are multiplied at last
   * @param scoring {@code softmax} or {@code sigmoid}
   * @param method {@code greedy}, {@code group_limited_greedy} or {@code noaux_tc} (with correction
   *     bias)
   * @param numGroups groups of experts, of which {@code topGroups} are chosen first; 1 for none
   * @param sharedIntermediateSize width of the shared experts together; 0 for none
   * @param sharedGate whether the shared experts' output is scaled by a sigmoid gate (Qwen2)
   * @param swigluLimit bound of gpt-oss's activation
   * @param swigluAlpha gain inside its sigmoid
   * @param sparseLayers per layer: whether it has experts
   */
  public record Experts(
      int numExperts,
      int topK,
      int intermediateSize,
      boolean renormalise,
      double scalingFactor,
      String scoring,
      String method,
      int numGroups,
      int topGroups,
      int sharedIntermediateSize,
      boolean sharedGate,
      double swigluLimit,
      double swigluAlpha,
      List<Boolean> sparseLayers) {}

  /**
   * @param path a {@code config.json}, or the folder that holds one; a {@code
   *     generation_config.json} beside it is read too
   * @throws CheckpointException naming the key, what was expected and what was found
   */
  public static ModelConfig read(Path path) {
    return ModelConfigReader.read(path);
  }

  /** Whether a layer has experts. */
  public boolean isSparse(int layer) {
    return experts != null && experts.sparseLayers().get(layer);
  }

  /**
   * The function that {@link #hiddenActivation} names.
   *
   * @throws UnsupportedFormatException if nothing computes it
   */
  public Activation activation() {
    if (modelType.equals("gpt_oss")) return clampedSwiglu();
    return switch (hiddenActivation) {
      case "silu", "swish" -> Activation.SILU;
      case "gelu" -> Activation.GELU_ERF;
      case "gelu_pytorch_tanh", "gelu_new", "gelu_tanh" -> Activation.GELU_TANH;
      case "relu" -> Activation.RELU;
      default ->
          throw new UnsupportedFormatException(
              file + ": activation " + hiddenActivation + " is not computed yet");
    };
  }

  /** The kernels have these two numbers built in. */
  private Activation clampedSwiglu() {
    if (experts != null && (experts.swigluLimit() != 7 || experts.swigluAlpha() != 1.702)) {
      throw new UnsupportedFormatException(
          file
              + ": swiglu_limit "
              + experts.swigluLimit()
              + " with swiglu_alpha "
              + experts.swigluAlpha()
              + " is not computed yet; 7.0 with 1.702 is");
    }
    return Activation.CLAMPED_SWIGLU;
  }
}
