package org.winnow.op;

import static org.winnow.internal.Internals.address;

import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.internal.AddressTable;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;

/**
 * The matrices of a layer's experts, as a grouped product takes them: for each expert a weight
 * [outputSize, inputSize], and where the layer has them a second (up) weight of the same shape and
 * format and f32 biases [outputSize]. An expert without matrices is not resident.
 *
 * <p>It holds no weights, only where they lie: the matrices and biases stay the caller's, open for
 * as long as they are set here. Setting and clearing must not run beside an operation that reads
 * these matrices: which of both that operation computes with is not defined.
 */
public final class ExpertMatrices implements AutoCloseable {
  static {
    AddressTable.Access.set(matrices -> ((ExpertMatrices) matrices).new Addresses());
  }

  private final WeightFormat format;
  private final int numExperts;
  private final long outputSize;
  private final long inputSize;
  private final boolean gated;
  private final boolean biased;
  private final int planes;
  private final MirroredTensor tables; // [planes, planes of up, bias, up bias] x numExperts
  private final LongBuffer entries;
  private final long[] row; // of set(), one entry per table
  private Expert[] owners; // what was set, by expert; null: nothing yet
  private volatile int numResident;
  private final AtomicLong changes = new AtomicLong();
  private volatile long handedOver; // the change that the device's copy holds at least
  private volatile long foundOpen = -1; // the closings after which all owners were open

  private record Expert(Matrix weight, Matrix up, Tensor bias, Tensor upBias) {
    void requireOpen() {
      weight.requireOpen("weight");
      if (up != null) up.requireOpen("up");
      if (bias != null) address(bias);
      if (upBias != null) address(upBias);
    }
  }

  /** Of matrices in the host's memory; see the other constructor. */
  public ExpertMatrices(
      WeightFormat format,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    this(TensorMemory.host(), format, numExperts, outputSize, inputSize, gated, biased);
  }

  /**
   * @param memory where the matrices lie: the backend's
   * @param format of the weights and up weights
   * @param gated whether each expert has an up weight beside its weight: their products are
   *     combined as activation(gate, up)
   * @param biased whether experts may have biases
   * @throws IllegalArgumentException if a size is below 1, or a row of inputSize is no whole number
   *     of the format's blocks
   */
  public ExpertMatrices(
      TensorMemory memory,
      WeightFormat format,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    requirePositive("numExperts", numExperts);
    requirePositive("outputSize", outputSize);
    requirePositive("inputSize", inputSize);
    format.rowBytes(inputSize);
    this.format = format;
    this.numExperts = numExperts;
    this.outputSize = outputSize;
    this.inputSize = inputSize;
    this.gated = gated;
    this.biased = biased;
    this.planes = format.planes();
    this.row = new long[2 * planes + 2];
    this.tables = new MirroredTensor(memory, DType.U64, row.length, numExperts);
    this.entries = tables.longs();
  }

  private static void requirePositive(String name, long value) {
    if (value < 1) throw new IllegalArgumentException(name + " must be at least 1, found " + value);
  }

  /** Of the weights and up weights. */
  public WeightFormat format() {
    return format;
  }

  public int numExperts() {
    return numExperts;
  }

  /** Columns of the product. */
  public long outputSize() {
    return outputSize;
  }

  /** Columns of the input. */
  public long inputSize() {
    return inputSize;
  }

  public boolean isGated() {
    return gated;
  }

  public boolean isBiased() {
    return biased;
  }

  /**
   * Makes an expert resident.
   *
   * @param weight [outputSize, inputSize] in {@link #format()}
   * @param up the same for the up weight; null if not gated
   * @param bias [outputSize] f32; null: this expert has none
   * @param upBias the same for the up weight
   * @throws IllegalArgumentException naming the argument whose shape, format or memory is wrong, or
   *     that is missing, or given where this layer has no such matrix
   * @throws IllegalStateException if an argument, or this, is closed
   */
  public synchronized void set(int expert, Matrix weight, Matrix up, Tensor bias, Tensor upBias) {
    NativeCall call = NativeCall.enter();
    try {
      requireExpert(expert);
      requireMatrix("weight", weight);
      if (gated != (up != null))
        throw new IllegalArgumentException("up must " + (gated ? "not " : "") + "be null");
      if (gated) requireMatrix("up", up);
      requireBias("bias", bias, biased);
      requireBias("upBias", upBias, biased && gated);
      for (int p = 0; p < planes; p++) {
        row[p] = address(weight.plane(p));
        row[planes + p] = gated ? address(up.plane(p)) : 0;
      }
      row[2 * planes] = bias == null ? 0 : address(bias);
      row[2 * planes + 1] = upBias == null ? 0 : address(upBias);
      put(expert, row, new Expert(weight, up, bias, upBias));
    } finally {
      call.exit();
    }
  }

  private void requireMatrix(String name, Matrix matrix) {
    matrix.require(name, format, outputSize, inputSize);
    matrix.requireIn(name, memory());
  }

  private void requireBias(String name, Tensor bias, boolean allowed) {
    if (bias == null) return;
    if (!allowed)
      throw new IllegalArgumentException(name + " must be null: these matrices have none");
    bias.require(name, DType.F32, outputSize);
    bias.requireIn(name, memory());
  }

  /** Makes an expert absent. */
  public synchronized void clear(int expert) {
    NativeCall call = NativeCall.enter();
    try {
      requireExpert(expert);
      Arrays.fill(row, 0);
      put(expert, row, null);
    } finally {
      call.exit();
    }
  }

  public boolean isResident(int expert) {
    NativeCall call = NativeCall.enter();
    try {
      requireExpert(expert);
      return entries.get(expert) != 0;
    } finally {
      call.exit();
    }
  }

  /** Whether every expert is resident. */
  public boolean isComplete() {
    return numResident == numExperts;
  }

  /** Where the matrices lie. */
  public TensorMemory memory() {
    return tables.tensor().memory();
  }

  /** Checks that this argument lies where an operation computes. */
  void requireIn(String name, TensorMemory expected) {
    if (memory() != expected)
      throw new IllegalArgumentException(name + " must lie in " + expected + ", found " + memory());
  }

  /**
   * Checks, inside a native call, that everything set here can be read. Costs a comparison while
   * nothing has been closed since the last time.
   *
   * @throws IllegalStateException if this, or a matrix or bias that is set, is closed
   */
  void requireOpen() {
    long closings = NativeCall.closings();
    if (foundOpen == closings) return;
    requireExpert(0);
    synchronized (this) {
      if (owners != null)
        for (Expert owner : owners) if (owner != null) owner.requireOpen();
    }
    foundOpen = closings;
  }

  /** What a product with these matrices gets. */
  void describe(GroupedGemmArguments arguments) {
    if (handedOver != changes.get()) handOver();
    long first = address(tables.tensor());
    long tableBytes = (long) numExperts * Long.BYTES;
    arguments
        .weights(first)
        .upWeights(gated ? first + planes * tableBytes : 0)
        .biases(biased ? first + 2 * planes * tableBytes : 0)
        .upBiases(biased && gated ? first + (2 * planes + 1) * tableBytes : 0)
        .numExperts(numExperts)
        .inputSize(inputSize)
        .outputSize(outputSize)
        .weightFormat(format.code());
  }

  /**
   * Copies the tables to the device if they have changed: an operation does it too, but not while it
   * is being captured.
   */
  public void handOver() {
    long change = changes.get(); // an entry that is put meanwhile is handed over next time
    if (handedOver == change) return;
    tables.fromHost();
    handedOver = change; // two threads that meet here have both copied the same
  }

  /** Releases the tables, not what they point to. May be called twice. */
  @Override
  public void close() {
    tables.close();
  }

  @Override
  public String toString() {
    return format
        + "["
        + numExperts
        + ", "
        + outputSize
        + ", "
        + inputSize
        + "]"
        + (gated ? " gated" : "")
        + (biased ? " biased" : "");
  }

  private void put(int expert, long[] addresses, Expert owner) {
    numResident += (addresses[0] != 0 ? 1 : 0) - (entries.get(expert) != 0 ? 1 : 0);
    for (int table = 0; table < addresses.length; table++)
      entries.put(table * numExperts + expert, addresses[table]);
    if (owner != null && owners == null) owners = new Expert[numExperts];
    if (owners != null) owners[expert] = owner;
    foundOpen = -1;
    changes.incrementAndGet();
  }

  private void requireExpert(int expert) {
    if (tables.tensor().isClosed()) throw new IllegalStateException("expert matrices are closed");
    if (expert < 0 || expert >= numExperts)
      throw new IllegalArgumentException(
          "expert must lie in [0, " + numExperts + "), found " + expert);
  }

  /** For caches, whose slots have addresses only. */
  private final class Addresses implements AddressTable {
    @Override
    public void put(int expert, long[] addresses) {
      synchronized (ExpertMatrices.this) {
        NativeCall call = NativeCall.enter(); // a close() on another thread waits
        try {
          requireExpert(expert);
          ExpertMatrices.this.put(expert, addresses, null);
        } finally {
          call.exit();
        }
      }
    }

    @Override
    public long get(int expert, int entry) {
      requireExpert(expert);
      return entries.get(entry * numExperts + expert);
    }
  }
}
