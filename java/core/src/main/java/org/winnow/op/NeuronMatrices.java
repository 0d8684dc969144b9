package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.address;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;

/**
 * The weights of a feed-forward block by neuron, for {@link SparseFfn}. Neuron i is one contiguous
 * record of rows of hiddenSize elements: row i of the gate matrix w1, row i of the up matrix w3 if
 * the block is gated, and column i of the down matrix. So a neuron is read with one access.
 *
 * <p>The caller owns the tensors and keeps them open while this is used.
 */
public final class NeuronMatrices implements AutoCloseable {
  private final Tensor records;
  private final @Nullable Tensor gateBias;
  private final @Nullable Tensor outputBias;
  private final @Nullable Tensor meanActivation;
  private final @Nullable Tensor compensation; // owned: sum of all down rows times their means
  private final @Nullable Tensor start; // owned: outputBias plus compensation
  private final MirroredTensor blocks;
  private volatile boolean closed;

  /** Without biases. */
  public NeuronMatrices(Tensor records) {
    this(records, null, null, null);
  }

  /**
   * @param records [intermediateSize, 2, hiddenSize] or, gated, [intermediateSize, 3, hiddenSize],
   *     f32, bf16 or f16
   * @param gateBias [intermediateSize] f32, or null
   * @param outputBias [hiddenSize] f32, or null
   * @param meanActivation [intermediateSize] f32, or null: what a column that is left out counts
   *     with. All weights are read once then, here
   * @throws IllegalArgumentException naming the argument whose shape, type or memory is wrong
   * @throws IllegalStateException if a tensor is closed
   */
  public NeuronMatrices(
      Tensor records,
      @Nullable Tensor gateBias,
      @Nullable Tensor outputBias,
      @Nullable Tensor meanActivation) {
    records.requireFloating("records", new long[] {ANY, ANY, ANY});
    if (records.dim(1) != 2 && records.dim(1) != 3)
      throw new IllegalArgumentException("records must be [any, 2 or 3, any], found " + records);
    if (records.dim(0) < 1 || records.dim(0) > Integer.MAX_VALUE || records.dim(2) < 1)
      throw new IllegalArgumentException(
          "records must have at least one neuron and one element, found " + records);
    this.records = records;
    this.gateBias = gateBias;
    this.outputBias = outputBias;
    this.meanActivation = meanActivation;
    require("gateBias", gateBias, intermediateSize());
    require("outputBias", outputBias, hiddenSize());
    require("meanActivation", meanActivation, intermediateSize());
    Resources open = new Resources();
    try {
      float[] @Nullable [] sums = meanActivation == null ? null : compensate();
      compensation = sums == null ? null : open.keep(onRecordsSide(sums[0]));
      start = sums == null ? null : open.keep(onRecordsSide(sums[1]));
      blocks = open.keep(new MirroredTensor(records.memory(), DType.U64, 1));
      publish();
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  private void publish() {
    NativeCall call = NativeCall.enter();
    try {
      blocks.longs().put(0, address(records));
    } finally {
      call.exit();
    }
    blocks.fromHost();
  }

  private Tensor onRecordsSide(float[] values) {
    return Tensor.of(records.memory(), values, values.length);
  }

  /** The sum of all down rows times their means, and the same with the output's bias. */
  private float[][] compensate() {
    float[] means = Objects.requireNonNull(meanActivation).toFloatArray();
    int width = (int) hiddenSize();
    int parts = (int) records.dim(1);
    double[] sums = new double[width];
    for (int i = 0; i < means.length; i++) {
      float[] record = records.slice(i, i + 1L).toFloatArray();
      for (int j = 0; j < width; j++)
        sums[j] += (double) means[i] * record[(parts - 1) * width + j];
    }
    float[] bias = outputBias == null ? new float[width] : outputBias.toFloatArray();
    float[][] both = new float[2][width];
    for (int j = 0; j < width; j++) {
      both[0][j] = (float) sums[j];
      both[1][j] = (float) (sums[j] + bias[j]);
    }
    return both;
  }

  private void require(String name, @Nullable Tensor tensor, long size) {
    if (tensor == null) return;
    tensor.require(name, F32, size);
    tensor.requireIn(name, records.memory());
  }

  /** Columns of the block. */
  public int intermediateSize() {
    return (int) records.dim(0);
  }

  /** Elements of a token. */
  public long hiddenSize() {
    return records.dim(2);
  }

  /** Whether a neuron has an up row. */
  public boolean isGated() {
    return records.dim(1) == 3;
  }

  /** The format of the weights. */
  public WeightFormat format() {
    return WeightFormat.of(records.dtype());
  }

  /** Bytes of one neuron. */
  public long recordBytes() {
    return records.dim(1) * format().rowBytes(hiddenSize());
  }

  /** The memory that holds the weights. */
  public TensorMemory memory() {
    return records.memory();
  }

  /**
   * [hiddenSize] f32: the sum of all down rows, each times its mean activation. Null without means.
   */
  public @Nullable Tensor compensation() {
    return compensation;
  }

  /** Waits for running operations, then frees what this allocated. The given tensors stay open. */
  @Override
  public void close() {
    NativeCall.requireOutside();
    closed = true;
    Resources.closeAll(blocks, compensation, start);
  }

  @Override
  public String toString() {
    return (isGated() ? "gated " : "") + "neurons " + records;
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("neuron matrices are closed");
    records.require("records", records.dtype(), records.dim(0), records.dim(1), records.dim(2));
    require("gateBias", gateBias, intermediateSize());
    require("outputBias", outputBias, hiddenSize());
    require("meanActivation", meanActivation, intermediateSize());
  }

  Tensor records() {
    return records;
  }

  Tensor blocks() {
    return blocks.tensor();
  }

  @Nullable Tensor gateBias() {
    return gateBias;
  }

  /** What an output starts from: the bias, and the compensation if there is one. */
  @Nullable Tensor start() {
    return start == null ? outputBias : start;
  }

  @Nullable Tensor meanActivation() {
    return meanActivation;
  }
}
