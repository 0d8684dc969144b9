package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.DType;

/**
 * Describes a checkpoint from its headers and its configuration alone. The report tells whether the
 * model is dense or a mixture of experts, and why. It gives the number of parameters, in total and
 * per token, and the memory that a share of the experts needs. Families and element types that are
 * not supported are described too. A configuration that is missing or not understood is a remark:
 * the tensors tell the rest.
 *
 * @param path the path that was given
 * @param config the contents of {@code config.json}, or null if there is none or it is not
 *     understood as a whole
 * @param family the model type that {@code config.json} names, or null
 * @param contextLength largest number of tokens in a sequence; absent if unknown
 * @param reasons why the model counts as a mixture of experts, by its configuration and its
 *     tensors; empty for a dense model
 * @param parameters number of weights; scales of quantised formats are not counted
 * @param activeParameters number of weights used for one token: all weights except the experts that
 *     are not chosen. Absent if the number of chosen experts is unknown
 * @param auxiliaryParameters number of weights in layers after the last one, which predict further
 *     tokens; not included in {@code parameters}
 * @param granularity width of an expert divided by the width of the model; 0 if dense or unknown
 * @param numTensors number of tensors in the checkpoint
 * @param sizeBytes bytes of all tensors
 * @param expertBytes bytes of all routed experts, as stored
 * @param slotBytes bytes of memory that one expert takes on the CPU: the size of the largest
 *     expert, extended to the block boundaries of direct reads. The stored size if the model cannot
 *     be run
 * @param bytesPerToken bytes of weights read for one token if nothing is kept in memory. The
 *     weights of {@code activeParameters} count, but only one row of an embedding table that is not
 *     also the output layer. Absent if the number of chosen experts is unknown
 * @param defaults what the model runs with unless options say otherwise; null if it cannot be run
 * @param layers the layers that have tensors, by stack and index
 * @param formats element types and quantised formats, the one with the most bytes first
 * @param obstacles why {@link LanguageModel#open} or {@link LanguageModel#generationDefaults}
 *     refuses the model, by their own checks; empty if the model runs, unless a value in the data
 *     of a tensor or the machine's memory forbids it
 * @param remarks what is unusual, not understood, or contradicts the tensors; one sentence each
 */
public record ModelReport(
    Path path,
    @Nullable ModelConfig config,
    @Nullable String family,
    OptionalInt contextLength,
    List<String> reasons,
    long parameters,
    OptionalLong activeParameters,
    long auxiliaryParameters,
    double granularity,
    int numTensors,
    long sizeBytes,
    long expertBytes,
    long slotBytes,
    OptionalLong bytesPerToken,
    @Nullable Defaults defaults,
    List<Layer> layers,
    List<Format> formats,
    List<String> obstacles,
    List<String> remarks) {

  /**
   * What {@link LoadOptions#defaults} mean for a model.
   *
   * @param activations type in which activations are multiplied: bf16, or f32 if all matrices are
   *     stored in f32
   * @param cacheType type of what the key-value cache holds: that of the activations
   * @param cacheBytesPerToken bytes that a token takes in the key-value cache
   */
  public record Defaults(DType activations, DType cacheType, long cacheBytesPerToken) {}

  /**
   * One layer.
   *
   * @param stack the part of its tensors' names before its index, such as {@code "model.layers"} or
   *     {@code "encoder.block"}
   * @param index index of the layer, from 0
   * @param numExperts routed experts; 0 in a dense layer
   * @param topK experts chosen for each token; 0 if unknown or dense
   * @param expertParameters number of weights in one routed expert
   * @param expertBytes bytes of one routed expert
   * @param sharedParameters number of weights in all shared experts, their gate included
   * @param parameters number of weights in the whole layer
   */
  public record Layer(
      String stack,
      int index,
      int numExperts,
      int topK,
      long expertParameters,
      long expertBytes,
      long sharedParameters,
      long parameters) {}

  /**
   * One element type.
   *
   * @param name the name in the file; {@code MXFP4} for blocks and scales of that format
   * @param computed whether weights of this type can be run
   */
  public record Format(String name, int numTensors, long sizeBytes, boolean computed) {}

  /**
   * What a memory budget for experts holds.
   *
   * @param budgetBytes the budget
   * @param numExperts number of experts that fit, over all layers
   * @param expertsPerLayer number of these per layer with experts, if every layer gets the same
   *     share
   * @param totalBytes bytes of the budget, at most those of all experts, and of all other weights
   */
  public record Budget(
      long budgetBytes, long numExperts, double expertsPerLayer, long totalBytes) {}

  /**
   * Reads headers and configuration. The time does not depend on the size of the weights.
   *
   * @param path a folder with a checkpoint, its index, one safetensors file, or a name as {@link
   *     LanguageModel#open} takes it. If the file has another name than {@code model.safetensors},
   *     the report covers only its tensors: a configuration beside it may belong to another model
   * @throws CheckpointException if there are no safetensors files, or one is broken
   * @throws org.winnow.UnsupportedFormatException if the files have another format
   */
  public static ModelReport of(Path path) {
    return new ModelReportBuilder(path).build();
  }

  public boolean isMixtureOfExperts() {
    return !reasons.isEmpty();
  }

  /** Share of the parameters that a token does not use; 0 for a dense model, and if unknown. */
  public double sparsity() {
    return parameters == 0 ? 0 : 1 - (double) activeParameters.orElse(parameters) / parameters;
  }

  /**
   * Number of layers without experts before the first layer with experts, in its stack; 0 for a
   * dense model.
   */
  public int leadingDenseLayers() {
    for (Layer sparse : layers) {
      if (sparse.numExperts() == 0) continue;
      return (int)
          layers.stream()
              .filter(
                  layer -> layer.stack().equals(sparse.stack()) && layer.index() < sparse.index())
              .count();
    }
    return 0;
  }

  /** Bytes of everything except the routed experts. It stays in memory for every budget. */
  public long residentBytes() {
    return sizeBytes - expertBytes;
  }

  /**
   * The budget that holds every expert; 0 for a dense model. Budgets in percent are shares of it.
   */
  public long fullBudgetBytes() {
    return Saturated.times(slotBytes, numExperts());
  }

  private long numExperts() {
    return layers.stream().mapToLong(Layer::numExperts).sum();
  }

  /**
   * What a budget holds.
   *
   * @param share share of {@link #fullBudgetBytes()}, in [0, 1]
   */
  public Budget budget(double share) {
    if (!(share >= 0 && share <= 1))
      throw new IllegalArgumentException("share must lie in [0, 1], found " + share);
    return budget((long) Math.floor(share * fullBudgetBytes()));
  }

  /** What a budget in bytes holds on the CPU. */
  public Budget budget(long budgetBytes) {
    if (budgetBytes < 0)
      throw new IllegalArgumentException("budgetBytes must not be negative, found " + budgetBytes);
    long numLayers = layers.stream().filter(layer -> layer.numExperts() > 0).count();
    long held = slotBytes == 0 ? 0 : Math.min(numExperts(), budgetBytes / slotBytes);
    return new Budget(
        budgetBytes,
        held,
        numLayers == 0 ? 0 : (double) held / numLayers,
        Saturated.plus(residentBytes(), Math.min(budgetBytes, fullBudgetBytes())));
  }
}
