package org.winnow.models;

import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.winnow.CheckpointException;

/**
 * What a checkpoint is, told from its headers and its configuration alone: dense or a mixture of
 * experts and why, how many parameters it has and uses for a token, how much memory which share of
 * its experts needs. Types that nothing computes yet are counted all the same.
 *
 * @param path as given
 * @param config what {@code config.json} says, or null if there is none
 * @param reasons why it counts as a mixture of experts: keys of the configuration, names of
 *     tensors; empty if dense
 * @param parameters weights of the model; scales of quantised formats are not counted
 * @param activeParameters weights used for one token: all but the experts, and of these the chosen
 *     and the shared ones; absent if it is unknown how many are chosen
 * @param auxiliaryParameters weights of layers behind the last one, for predicting several tokens;
 *     not among {@code parameters}
 * @param numTensors tensors in the checkpoint
 * @param sizeBytes bytes of all tensors
 * @param expertBytes bytes of all routed experts, as stored
 * @param slotBytes bytes of memory that one of them takes where the CPU computes: those of the
 *     largest, with the blocks of direct reads rounded outward; as stored if it cannot be run
 * @param bytesPerToken bytes of weights read for one token if none are kept: as {@code
 *     activeParameters}, but of an embedding table that is not the output layer as well only one
 *     row
 * @param layers the layers that have tensors, by number
 * @param formats element types, the one with the most bytes first
 * @param obstacles why it can be inspected but not run; empty if nothing known stands against it
 */
public record ModelReport(
    Path path,
    ModelConfig config,
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
   * @param index from 0
   * @param numExperts routed experts; 0 in a dense layer
   * @param topK of these for each token; 0 if unknown or dense
   * @param expertParameters of one routed expert
   * @param expertBytes of one routed expert
   * @param sharedParameters of the shared experts together, their gate included
   * @param parameters of the whole layer
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
   * @param name as in the file, {@code MXFP4} for its blocks and scales
   * @param computed whether weights of this type can be run
   */
  public record Format(String name, int numTensors, long sizeBytes, boolean computed) {}

  /**
   * What a memory budget for experts holds.
   *
   * @param budgetBytes the budget
   * @param numExperts experts that fit, of all layers together
   * @param expertsPerLayer of these in each layer with experts, if shared out evenly
   * @param totalBytes budget and all other weights
   */
  public record Budget(
      long budgetBytes, long numExperts, double expertsPerLayer, long totalBytes) {}

  /**
   * Reads headers and configuration; the time does not depend on the size of the weights.
   *
   * @param path a folder with a checkpoint, its index, or one safetensors file. Of a file with a
   *     name of its own only the tensors are told: what lies beside it may belong to something else
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

  /** Width of an expert as a share of the model's; 0 if dense or unknown. */
  public double granularity() {
    return config == null || config.experts() == null
        ? 0
        : (double) config.experts().intermediateSize() / config.hiddenSize();
  }

  /** Layers without experts before the first one that has some; 0 if dense. */
  public int leadingDenseLayers() {
    int leading = 0;
    while (leading < layers.size() && layers.get(leading).numExperts() == 0) leading++;
    return leading == layers.size() ? 0 : leading;
  }

  /** Bytes of everything but the routed experts, which stays in memory whatever the budget. */
  public long residentBytes() {
    return sizeBytes - expertBytes;
  }

  /** The budget that holds every expert, of which percentages are; 0 for a dense model. */
  public long fullBudgetBytes() {
    return slotBytes * numExperts();
  }

  private long numExperts() {
    return layers.stream().mapToLong(Layer::numExperts).sum();
  }

  /** What a budget of this share of {@link #fullBudgetBytes()} holds, from 0 to 1. */
  public Budget budget(double share) {
    if (!(share >= 0 && share <= 1))
      throw new IllegalArgumentException("share must lie in [0, 1], found " + share);
    return budget((long) Math.floor(share * fullBudgetBytes()));
  }

  /** What a budget of these bytes holds on the CPU. */
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
