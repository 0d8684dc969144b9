package org.winnow.memory;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.IntFunction;
import org.winnow.Backend;
import org.winnow.CheckpointException;
import org.winnow.TensorMemory;
import org.winnow.UnsupportedFormatException;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;

/**
 * Where each expert's weights lie in a checkpoint, in which layout, and what it takes in memory.
 * Making one reads nothing.
 *
 * <p>Whatever the layout in the files, an expert in memory is: gate and up [intermediateSize,
 * hiddenSize], down [hiddenSize, intermediateSize], row by row or in panels, in the format as
 * stored, and biases in f32. What is stored that way is read straight into place; the rest is
 * copied to its place while it is read. Layers are those that have experts, counted from 0. All
 * experts of a layer have a part in the same format. Formats may differ between layers, and within
 * a layer between the down matrices and the others.
 */
public final class ExpertStore {
  private final ExpertLayout[][] layouts; // [layer][expert]
  private final int[] firstExpert; // per layer, in the numbering across layers; one more at the end
  private final int[] layerOf; // per expert in that numbering
  private final long hiddenSize;
  private final long intermediateSize;
  private final long slotBytes;
  private final Function<WeightFormat, WeightLayout> weightLayout;

  private ExpertStore(Builder builder) {
    this.weightLayout = builder.weightLayout;
    this.layouts = builder.layers.toArray(new ExpertLayout[0][]);
    this.hiddenSize = builder.hiddenSize;
    this.intermediateSize = builder.intermediateSize;
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

  /**
   * Whether the experts of a layer have a part.
   *
   * @throws IndexOutOfBoundsException if there is no such layer
   */
  public boolean has(int layer, ExpertRole role) {
    return layout(layer, 0).format(role) != null;
  }

  /**
   * The format of a part of a layer's experts; f32 for a bias.
   *
   * @throws IndexOutOfBoundsException if there is no such layer
   * @throws IllegalArgumentException if its experts have no such part
   */
  public WeightFormat format(int layer, ExpertRole role) {
    WeightFormat format = layout(layer, 0).format(role);
    if (format == null)
      throw new IllegalArgumentException("experts of layer " + layer + " have no " + role);
    return format;
  }

  /** The layout of matrices of that format in host memory. */
  WeightLayout weightLayout(WeightFormat format) {
    return weightLayout.apply(format);
  }

  /**
   * Bytes of memory that the largest expert takes, rounded outward to the blocks of direct reads.
   * The least possible budget.
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
   * Bytes of the buffer that reading an expert needs beside its slot; 0 if all are stored the way
   * kernels read them.
   */
  long stagingBytes() {
    long largest = 0;
    for (ExpertLayout[] layer : layouts) {
      for (ExpertLayout layout : layer) {
        for (ExpertLayout.Staged rows : layout.staged())
          largest = Math.max(largest, ExpertLoader.stagingBytes(rows));
        for (ExpertLayout.Arranged range : layout.arranged())
          largest = Math.max(largest, ExpertLoader.stagingBytes(range));
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

  /** Collects layers in order. */
  public static final class Builder {
    private final ExpertLayouts layouts;
    private Function<WeightFormat, WeightLayout> weightLayout = format -> WeightLayout.ROWS;
    private final List<ExpertLayout[]> layers = new ArrayList<>();
    private final long hiddenSize;
    private final long intermediateSize;

    private Builder(Checkpoint checkpoint, long hiddenSize, long intermediateSize) {
      if (hiddenSize < 1)
        throw new IllegalArgumentException("hiddenSize must be at least 1, found " + hiddenSize);
      if (intermediateSize < 1)
        throw new IllegalArgumentException(
            "intermediateSize must be at least 1, found " + intermediateSize);
      this.layouts =
          new ExpertLayouts(
              checkpoint, hiddenSize, intermediateSize, format -> weightLayout.apply(format));
      this.hiddenSize = hiddenSize;
      this.intermediateSize = intermediateSize;
    }

    /**
     * Matrices are read into the layout that this backend multiplies fastest, {@link
     * Backend#weightLayout}; without this call, into rows. Call it before any layer is added.
     *
     * @throws IllegalStateException if there is a layer
     */
    public Builder layoutOf(Backend backend) {
      if (!layers.isEmpty())
        throw new IllegalStateException(
            "layers must be 0 when the layout is set, found " + layers.size());
      weightLayout = backend::weightLayout;
      return this;
    }

    /**
     * Adds a layer. Its experts all have the same parts, each in one format.
     *
     * @param sources for an expert of [0, numExperts), where its parts lie: one source for every
     *     plane of each. GATE and DOWN must be there; UP has the format of GATE
     * @throws IllegalArgumentException if numExperts is below 1, or a part or plane is missing, is
     *     given twice or cannot be taken from its source
     * @throws CheckpointException naming a tensor that is missing or has the wrong shape, type or
     *     format
     * @throws UnsupportedFormatException naming a tensor of a type that is not supported
     */
    public Builder addLayer(int numExperts, IntFunction<List<ExpertSource>> sources) {
      if (numExperts < 1)
        throw new IllegalArgumentException("numExperts must be at least 1, found " + numExperts);
      ExpertLayout[] layer = new ExpertLayout[numExperts];
      for (int expert = 0; expert < numExperts; expert++) {
        String what = "layer " + layers.size() + ", expert " + expert;
        layer[expert] = layouts.plan(what, sources.apply(expert), layer[0]);
      }
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
