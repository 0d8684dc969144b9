package org.winnow.memory;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.IntFunction;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.TensorMemory;

/**
 * Where each expert's weights lie in a checkpoint, in which layout, and what it takes in memory.
 * Making one reads nothing.
 *
 * <p>Whatever the layout in the files, an expert in memory is: gate and up [intermediateSize,
 * hiddenSize], down [hiddenSize, intermediateSize], row-major, in the type as stored, and biases in
 * f32. Experts stored that way are read straight into place; others are rearranged while they are
 * read. Layers are those that have experts, counted from 0.
 */
public final class ExpertStore {
  private final ExpertLayout[][] layouts; // [layer][expert]
  private final int[] firstExpert; // per layer, in the numbering across layers; one more at the end
  private final int[] layerOf; // per expert in that numbering
  private final long hiddenSize;
  private final long intermediateSize;
  private final DType weightType;
  private final boolean biased;
  private final long slotBytes;

  private ExpertStore(Builder builder) {
    this.layouts = builder.layers.toArray(new ExpertLayout[0][]);
    this.hiddenSize = builder.hiddenSize;
    this.intermediateSize = builder.intermediateSize;
    this.weightType = builder.weightType;
    this.biased = builder.biased;
    this.firstExpert = new int[layouts.length + 1];
    long largest = 0;
    for (int layer = 0; layer < layouts.length; layer++) {
      firstExpert[layer + 1] = firstExpert[layer] + layouts[layer].length;
      for (ExpertLayout layout : layouts[layer]) largest = Math.max(largest, layout.slotBytes());
    }
    this.layerOf = new int[numExperts()];
    for (int layer = 0; layer < layouts.length; layer++)
      Arrays.fill(layerOf, firstExpert[layer], firstExpert[layer + 1], layer);
    this.slotBytes = largest;
  }

  public int numLayers() {
    return layouts.length;
  }

  /**
   * Experts of one layer.
   *
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public int numExperts(int layer) {
    return layouts[Objects.checkIndex(layer, layouts.length)].length;
  }

  /** Experts of all layers. */
  public int numExperts() {
    return firstExpert[layouts.length];
  }

  public long hiddenSize() {
    return hiddenSize;
  }

  public long intermediateSize() {
    return intermediateSize;
  }

  /** Type of the matrices, f32, bf16 or f16. */
  public DType weightType() {
    return weightType;
  }

  /** Whether experts have biases. */
  public boolean isBiased() {
    return biased;
  }

  /**
   * Bytes of memory that an expert takes: that of the largest, with the blocks of direct reads
   * rounded outward. The least possible budget.
   */
  public long slotBytes() {
    return slotBytes;
  }

  /** Bytes that an expert takes in this memory: {@link #slotBytes()} in the host's. */
  public long slotBytes(TensorMemory memory) {
    return memory.isHost() ? slotBytes : DeviceExpertArena.slotBytes(this);
  }

  /** The budget that holds every expert of every layer. Percentages of a budget are of this. */
  public long fullBudgetBytes() {
    return slotBytes * numExperts();
  }

  /** The same in this memory. */
  public long fullBudgetBytes(TensorMemory memory) {
    return slotBytes(memory) * numExperts();
  }

  /**
   * Bytes of an expert's weights in the files.
   *
   * @throws IndexOutOfBoundsException if there is no such expert
   */
  public long storedBytes(int layer, int expert) {
    return layout(layer, expert).storedBytes();
  }

  /**
   * Bytes that a miss of this expert reads: the stored bytes, rounded outward to the blocks of
   * direct reads.
   *
   * @throws IndexOutOfBoundsException if there is no such expert
   */
  public long readBytes(int layer, int expert) {
    return layout(layer, expert).readBytes();
  }

  ExpertLayout layout(int layer, int expert) {
    ExpertLayout[] experts = layouts[Objects.checkIndex(layer, layouts.length)];
    return experts[Objects.checkIndex(expert, experts.length)];
  }

  /** The expert's number across layers. */
  int index(int layer, int expert) {
    return firstExpert[layer] + expert;
  }

  /** The layer of the expert with that number across layers. */
  int layerOf(int index) {
    return layerOf[index];
  }

  /**
   * The buffer that reading an expert needs beside its slot; 0 if all are stored as they are
   * computed.
   */
  long stagingBytes() {
    long largest = 0;
    for (ExpertLayout[] layer : layouts) {
      for (ExpertLayout layout : layer) {
        for (ExpertLayout.Rearranged matrix : layout.rearranged())
          largest = Math.max(largest, ExpertLoader.stagingBytes(matrix));
      }
    }
    return largest;
  }

  /**
   * @param checkpoint where the tensors are; it stays the caller's, and open for as long as experts
   *     are read
   * @param hiddenSize width of the residual stream
   * @param intermediateSize width of one expert
   */
  public static Builder builder(Checkpoint checkpoint, long hiddenSize, long intermediateSize) {
    return new Builder(checkpoint, hiddenSize, intermediateSize);
  }

  /**
   * Collects layers in order. Every method throws {@link CheckpointException} naming a tensor that
   * is missing or has the wrong shape or type.
   */
  public static final class Builder {
    private final ExpertLayouts layouts;
    private final List<ExpertLayout[]> layers = new ArrayList<>();
    private final long hiddenSize;
    private final long intermediateSize;
    private DType weightType;
    private boolean biased;

    private Builder(Checkpoint checkpoint, long hiddenSize, long intermediateSize) {
      if (hiddenSize < 1)
        throw new IllegalArgumentException("hiddenSize must be at least 1, found " + hiddenSize);
      if (intermediateSize < 1)
        throw new IllegalArgumentException(
            "intermediateSize must be at least 1, found " + intermediateSize);
      this.layouts = new ExpertLayouts(checkpoint, hiddenSize, intermediateSize);
      this.hiddenSize = hiddenSize;
      this.intermediateSize = intermediateSize;
    }

    /**
     * A layer with one tensor per expert and matrix (Mixtral, Qwen, OLMoE, DeepSeek).
     *
     * @param gate name of an expert's gate matrix [intermediateSize, hiddenSize]
     * @param up name of its up matrix, the same shape
     * @param down name of its down matrix [hiddenSize, intermediateSize]
     */
    public Builder addLayer(
        int numExperts,
        IntFunction<String> gate,
        IntFunction<String> up,
        IntFunction<String> down) {
      return add(
          numExperts,
          false,
          expert -> layouts.separate(gate.apply(expert), up.apply(expert), down.apply(expert)));
    }

    /**
     * A layer with all experts in two tensors, output-major.
     *
     * @param gateUp name of [numExperts, 2 * intermediateSize, hiddenSize], each expert's gate rows
     *     before its up rows
     * @param down name of [numExperts, hiddenSize, intermediateSize]
     */
    public Builder addFusedLayer(int numExperts, String gateUp, String down) {
      return add(numExperts, false, expert -> layouts.fused(numExperts, expert, gateUp, down));
    }

    /**
     * A layer with all experts in two tensors, input-major, gate and up columns interleaved, with
     * biases (gpt-oss).
     *
     * @param gateUp name of [numExperts, hiddenSize, 2 * intermediateSize], gate in even columns
     *     and up in odd ones
     * @param gateUpBias name of [numExperts, 2 * intermediateSize], interleaved likewise
     * @param down name of [numExperts, intermediateSize, hiddenSize]
     * @param downBias name of [numExperts, hiddenSize]
     */
    public Builder addInterleavedLayer(
        int numExperts, String gateUp, String gateUpBias, String down, String downBias) {
      return add(
          numExperts,
          true,
          expert -> layouts.interleaved(numExperts, expert, gateUp, gateUpBias, down, downBias));
    }

    private Builder add(int numExperts, boolean hasBiases, IntFunction<ExpertLayout> layout) {
      if (numExperts < 1)
        throw new IllegalArgumentException("numExperts must be at least 1, found " + numExperts);
      if (!layers.isEmpty() && biased != hasBiases)
        throw new IllegalArgumentException("layers must all have biases or all have none");
      biased = hasBiases;
      ExpertLayout[] layer = new ExpertLayout[numExperts];
      for (int expert = 0; expert < numExperts; expert++) layer[expert] = layout.apply(expert);
      weightType = layouts.weightType();
      layers.add(layer);
      return this;
    }

    /**
     * @throws IllegalArgumentException if there is no layer
     */
    public ExpertStore build() {
      if (layers.isEmpty())
        throw new IllegalArgumentException("layers must be at least 1, found 0");
      return new ExpertStore(this);
    }
  }
}
