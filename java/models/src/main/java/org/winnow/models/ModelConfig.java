package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;
import org.winnow.op.Activation;

/**
 * The contents of a checkpoint's {@code config.json}, independent of its spelling, with the
 * defaults of the family filled in.
 *
 * @param file the {@code config.json}
 * @param modelType such as {@code "qwen3_moe"}
 * @param wrapperType the model type of the whole, such as {@code "internvl"}, if this is the
 *     decoder of a model that also reads images; else null
 * @param architectures class names such as {@code "Qwen3MoeForCausalLM"}; may be empty
 * @param storedType element type of the weights such as {@code "bfloat16"}, or null if not given
 * @param intermediateSize width of the dense feed-forward layers; 0 if it is not given and every
 *     layer has experts
 * @param contextLength largest number of tokens in a sequence, the scaling of the rotary position
 *     encoding included
 * @param epsilon epsilon of the norms
 * @param hiddenActivation name of the activation, see {@link #activation()}
 * @param tiedEmbeddings whether the output layer is the embedding table if the checkpoint has no
 *     matrix of its own for it
 * @param mlpBias whether the dense feed-forward layers have biases
 * @param layerTypes one name per layer such as {@code "sliding_attention"}; empty if not given
 * @param latentAttention null unless the model uses latent attention (MLA)
 * @param indexer null unless attention selects the tokens that it reads (DeepSeek-V3.2)
 * @param experts null for a dense model
 * @param furtherTokenLayers layers after the last one, which predict further tokens and are not
 *     read
 * @param quantization method such as {@code "fp8"} or {@code "mxfp4"} that the configuration names,
 *     or null; whether weights are quantised, the tensors say
 * @param beginTokens ids that begin a text; may be empty
 * @param stopTokens ids that end a text, from {@code generation_config.json} if it has any, else
 *     from {@code config.json}; may be empty
 * @param unsupported what of this configuration Winnow does not compute, a sentence each that names
 *     the key; empty for most
 */
public record ModelConfig(
    Path file,
    String modelType,
    @Nullable String wrapperType,
    List<String> architectures,
    @Nullable String storedType,
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
    @Nullable LatentAttention latentAttention,
    @Nullable Indexer indexer,
    Rope rope,
    @Nullable Experts experts,
    int furtherTokenLayers,
    @Nullable String quantization,
    List<Integer> beginTokens,
    List<Integer> stopTokens,
    List<String> unsupported) {

  /**
   * @param headDim width of a head; with latent attention, width of a head of q and k
   * @param qkvBias whether the projections to q, k and v have biases
   * @param outputBias whether the output projection has a bias
   * @param clip q, k and v are clamped to [-clip, clip]; 0 for no clamping
   * @param slidingWindows per layer, the number of tokens that a query attends to, its own
   *     included; 0 for all
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
   * @param queryRank width of the latent query; 0 if the hidden state is projected to q directly
   * @param latentRank width of the latent vector that is cached for keys and values
   * @param nopeDim width of the part of a q or k head that is not rotated
   * @param ropeDim width of the rotated part, which all heads of k share
   * @param valueDim width of a head of v
   * @param interleavedRope whether rotated pairs are (2i, 2i + 1) instead of (i, i + ropeDim / 2)
   */
  public record LatentAttention(
      int queryRank,
      int latentRank,
      int nopeDim,
      int ropeDim,
      int valueDim,
      boolean interleavedRope) {}

  /** The lightning indexer, which selects the {@code topK} tokens that a query attends to. */
  public record Indexer(int numHeads, int headDim, int topK) {}

  /**
   * Rotary position encoding. Nullable values are null if the type does not use them.
   *
   * @param type {@code default}, {@code linear}, {@code llama3}, {@code yarn}, or another name,
   *     which is not supported
   * @param factor factor by which the context is extended; 1 for {@code default}
   * @param originalContextLength context length before the extension
   * @param truncate for YaRN, whether the bounds of its ramp are rounded outward
   * @param partialFactor share of a head's width that is rotated
   */
  public record Rope(
      String type,
      double theta,
      double factor,
      int originalContextLength,
      @Nullable Double lowFactor,
      @Nullable Double highFactor,
      @Nullable Double betaFast,
      @Nullable Double betaSlow,
      boolean truncate,
      @Nullable Double attentionFactor,
      @Nullable Double mscale,
      @Nullable Double mscaleAllDim,
      double partialFactor) {}

  /**
   * @param intermediateSize width of one expert
   * @param renormalise whether the chosen experts' weights are divided by their sum
   * @param scalingFactor factor that multiplies the weights at the end
   * @param scoring {@code softmax} or {@code sigmoid}
   * @param method {@code greedy}, or {@code noaux_tc} (with correction bias)
   * @param numGroups number of groups into which experts are divided; 1 for no groups
   * @param topGroups number of groups that are chosen before the experts
   * @param sharedIntermediateSize total width of the shared experts; 0 for none
   * @param sharedGate whether the shared experts' output is scaled by a sigmoid gate (Qwen2)
   * @param swigluLimit clamping bound of gpt-oss's activation
   * @param swigluAlpha factor inside that activation's sigmoid
   * @param sparseLayers per layer, whether it has experts
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
   * Reads a configuration.
   *
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

  /** The experts of a model whose family always has some. */
  Experts requireExperts() {
    return Objects.requireNonNull(experts, "experts");
  }

  /**
   * The function that {@link #hiddenActivation} names.
   *
   * @throws UnsupportedFormatException if it is not supported
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
              file + ": activation " + hiddenActivation + " is not supported yet");
    };
  }

  /** The kernels support only one pair of limit and alpha. */
  private Activation clampedSwiglu() {
    if (experts != null && (experts.swigluLimit() != 7 || experts.swigluAlpha() != 1.702)) {
      throw new UnsupportedFormatException(
          file
              + ": swiglu_limit "
              + experts.swigluLimit()
              + " with swiglu_alpha "
              + experts.swigluAlpha()
              + " is not supported yet; 7.0 with 1.702 is");
    }
    return Activation.CLAMPED_SWIGLU;
  }
}
