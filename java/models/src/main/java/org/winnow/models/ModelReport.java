package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Describes a checkpoint from its headers and its configuration alone. The report tells whether the
 * model is dense or a mixture of experts, and why. It gives the number of parameters, in total and
 * per token, and the memory that a share of the experts needs. Element types that are not supported
 * yet are counted too.
 *
 * @param path the path that was given
 * @param config the contents of {@code config.json}, or null if there is none
 * @param reasons why the model counts as a mixture of experts, by its configuration and its
 *     tensors; empty for a dense model
 * @param parameters number of weights; scales of quantised formats are not counted
 * @param activeParameters number of weights used for one token: all weights except the experts that
 *     are not chosen. Absent if the number of chosen experts is unknown
 * @param auxiliaryParameters number of weights in layers after the last one, which predict further
 *     tokens; not included in {@code parameters}
 * @param numTensors number of tensors in the checkpoint
 * @param sizeBytes bytes of all tensors
 * @param expertBytes bytes of all routed experts, as stored
 * @param slotBytes bytes of memory that one expert takes on the CPU: the size of the largest
 *     expert, extended to the block boundaries of direct reads. The stored size if the model cannot
 *     be run
 * @param bytesPerToken bytes of weights read for one token if nothing is kept in memory. The
 *     weights of {@code activeParameters} count, but only one row of an embedding table that is not
 *     also the output layer. Absent if the number of chosen experts is unknown
 * @param layers the layers that have tensors, by number
 * @param formats element types, the type with the most bytes first
 * @param obstacles why the model can be inspected but not run; empty if no reason is known
 */
public record ModelReport(
    Path path,
    @Nullable ModelConfig config,
    List<String> reasons,
    long parameters,
    OptionalLong activeParameters,
    long auxiliaryParameters,
    int numTensors,
    long sizeBytes,
    long expertBytes,
    long slotBytes,
    OptionalLong bytesPerToken,
    List<Layer> layers,
    List<Format> formats,
    List<String> obstacles) {

  /**
   * One layer.
   *
   * @param index index of the layer, from 0
   * @param numExperts routed experts; 0 in a dense layer
   * @param topK experts chosen for each token; 0 if unknown or dense
   * @param expertParameters number of weights in one routed expert
   * @param expertBytes bytes of one routed expert
   * @param sharedParameters number of weights in all shared experts, their gate included
   * @param parameters number of weights in the whole layer
   */
  public record Layer(
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
   * @param path a folder with a checkpoint, its index, or one safetensors file. If the file has
   *     another name than {@code model.safetensors}, the report covers only its tensors: a
   *     configuration beside it may belong to another model
   * @throws CheckpointException if the checkpoint is broken or contradicts its configuration
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

  /** Width of an expert divided by the width of the model; 0 if dense or unknown. */
  public double granularity() {
    return config == null || config.experts() == null
        ? 0
        : (double) config.experts().intermediateSize() / config.hiddenSize();
  }

  /** Number of layers without experts before the first layer with experts; 0 for a dense model. */
  public int leadingDenseLayers() {
    int leading = 0;
    while (leading < layers.size() && layers.get(leading).numExperts() == 0) leading++;
    return leading == layers.size() ? 0 : leading;
  }

  /** Bytes of everything except the routed experts. It stays in memory for every budget. */
  public long residentBytes() {
    return sizeBytes - expertBytes;
  }

  /**
   * The budget that holds every expert; 0 for a dense model. Budgets in percent are shares of it.
   */
  public long fullBudgetBytes() {
    return slotBytes * numExperts();
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
    long held = numLayers == 0 ? 0 : Math.min(numExperts(), budgetBytes / slotBytes);
    return new Budget(
        budgetBytes,
        held,
        numLayers == 0 ? 0 : (double) held / numLayers,
        residentBytes() + Math.min(budgetBytes, fullBudgetBytes()));
  }
}
