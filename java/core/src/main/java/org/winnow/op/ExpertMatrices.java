package org.winnow.op;

import static org.winnow.internal.Internals.address;

import java.nio.LongBuffer;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.internal.AddressTable;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;

/**
 * The matrices of a layer's experts for a {@link GroupedGemm}. Each expert has a weight
 * [outputSize, inputSize]. Gated layers add an up weight of the same shape and format. Biased
 * layers add f32 biases [outputSize]. An expert is resident while its matrices are set.
 *
 * <p>This holds addresses only. The caller owns the matrices and biases and keeps them open while
 * they are set here. Setting or clearing an expert while an operation reads it leaves undefined
 * which weights the operation uses.
 */
public final class ExpertMatrices implements AutoCloseable {
  static {
    AddressTable.Access.set(matrices -> ((ExpertMatrices) matrices).new Addresses());
  }

  private final WeightFormat format;
  private final DType productType;
  private final WeightLayout layout;
  private final int numExperts;
  private final long outputSize;
  private final long inputSize;
  private final boolean gated;
  private final boolean biased;
  private final int planes;
  private final MirroredTensor tables; // [planes, planes of up, bias, up bias] x numExperts
  private final LongBuffer entries;
  private final long[] row; // scratch of set(), one entry per table
  private @Nullable Expert @Nullable []
      owners; // matrices set, by expert; null before the first set
  private volatile @Nullable Object keptOwner; // of memory that only the tables refer to, or null
  private volatile int numResident;
  private final AtomicLong changes = new AtomicLong();
  private volatile long handedOver; // number of changes that the device's copy contains, or more
  private volatile long foundOpen = -1; // value of closings() when all owners were last found open

  private record Expert(
      Matrix weight, @Nullable Matrix up, @Nullable Tensor bias, @Nullable Tensor upBias) {
    void requireOpen() {
      weight.requireOpen("weight");
      if (up != null) up.requireOpen("up");
      if (bias != null) address(bias);
      if (upBias != null) address(upBias);
    }
  }

  /** As the next constructor, for matrices in host memory. */
  public ExpertMatrices(
      WeightFormat format,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    this(TensorMemory.host(), format, numExperts, outputSize, inputSize, gated, biased);
  }

  /** As the next constructor, for products in f32. */
  public ExpertMatrices(
      TensorMemory memory,
      WeightFormat format,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    this(
        memory,
        format,
        WeightLayout.ROWS,
        DType.F32,
        numExperts,
        outputSize,
        inputSize,
        gated,
        biased);
  }

  /**
   * @param memory the memory of the matrices: the backend's
   * @param format format of weights and up weights
   * @param layout layout of weights and up weights
   * @param productType f32, or bf16 to round every element of an f32 input to bf16 before it is
   *     multiplied. A bf16 input is multiplied as it is with either
   * @param gated whether each expert has an up weight. The products of both weights are combined as
   *     activation(gate, up)
   * @param biased whether experts may have biases
   * @throws IllegalArgumentException if a size is below 1, a row of inputSize elements is not a
   *     whole number of the format's blocks, the format does not have the layout in that memory, or
   *     the product type is neither f32 nor bf16
   */
  public ExpertMatrices(
      TensorMemory memory,
      WeightFormat format,
      WeightLayout layout,
      DType productType,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    if (productType != DType.F32 && productType != DType.BF16)
      throw new IllegalArgumentException("productType must be f32 or bf16, found " + productType);
    if (!format.has(layout))
      throw new IllegalArgumentException("layout must be rows for " + format + ", found " + layout);
    if (layout == WeightLayout.PANELS && !memory.isHost())
      throw new IllegalArgumentException("layout must be rows in " + memory + ", found " + layout);
    requirePositive("numExperts", numExperts);
    requirePositive("outputSize", outputSize);
    requirePositive("inputSize", inputSize);
    format.rowBytes(inputSize);
    this.format = format;
    this.productType = productType;
    this.layout = layout;
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

  /**
   * The type of the products of matrices of a format where activations have this type: f32 for
   * matrices stored in f32, which are exact with f32 activations alone, else that of activations.
   *
   * @param activations f32 or bf16
   * @throws IllegalArgumentException if the activations have another type
   */
  public static DType productType(WeightFormat format, DType activations) {
    if (activations != DType.F32 && activations != DType.BF16)
      throw new IllegalArgumentException("activations must be f32 or bf16, found " + activations);
    return format == WeightFormat.F32 ? DType.F32 : activations;
  }

  private static void requirePositive(String name, long value) {
    if (value < 1) throw new IllegalArgumentException(name + " must be at least 1, found " + value);
  }

  /** Format of weights and up weights. */
  public WeightFormat format() {
    return format;
  }

  /** What the elements of an f32 input are multiplied in: f32 or bf16. */
  public DType productType() {
    return productType;
  }

  /** Layout of weights and up weights. */
  public WeightLayout layout() {
    return layout;
  }

  public int numExperts() {
    return numExperts;
  }

  /** Number of columns of the product. */
  public long outputSize() {
    return outputSize;
  }

  /** Number of columns of the input. */
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
   * @param weight [outputSize, inputSize] in {@link #format()} and {@link #layout()}
   * @param up [outputSize, inputSize] in {@link #format()}; null if not gated
   * @param bias [outputSize] f32, or null for none
   * @param upBias [outputSize] f32, or null for none
   * @throws IllegalArgumentException naming the argument whose shape, format or memory is wrong, or
   *     that must or must not be null for this layer
   * @throws IllegalStateException if an argument or this is closed
   */
  public synchronized void set(
      int expert,
      Matrix weight,
      @Nullable Matrix up,
      @Nullable Tensor bias,
      @Nullable Tensor upBias) {
    NativeCall call = NativeCall.enter();
    try {
      requireExpert(expert);
      requireMatrix("weight", weight);
      if (gated != (up != null))
        throw new IllegalArgumentException("up must " + (gated ? "not " : "") + "be null");
      if (up != null) requireMatrix("up", up);
      requireBias("bias", bias, biased);
      requireBias("upBias", upBias, biased && gated);
      for (int p = 0; p < planes; p++) {
        row[p] = address(weight.plane(p));
        row[planes + p] = up == null ? 0 : address(up.plane(p));
      }
      row[2 * planes] = bias == null ? 0 : address(bias);
      row[2 * planes + 1] = upBias == null ? 0 : address(upBias);
      put(expert, row, 0, new Expert(weight, up, bias, upBias));
      changes.incrementAndGet();
    } finally {
      call.exit();
    }
  }

  private void requireMatrix(String name, Matrix matrix) {
    matrix.require(name, format, layout, outputSize, inputSize);
    matrix.requireIn(name, memory());
  }

  private void requireBias(String name, @Nullable Tensor bias, boolean allowed) {
    if (bias == null) return;
    if (!allowed)
      throw new IllegalArgumentException(name + " must be null: these experts have no such bias");
    bias.require(name, DType.F32, outputSize);
    bias.requireIn(name, memory());
  }

  /** Makes an expert absent. */
  public synchronized void clear(int expert) {
    NativeCall call = NativeCall.enter();
    try {
      requireExpert(expert);
      Arrays.fill(row, 0);
      put(expert, row, 0, null);
      changes.incrementAndGet();
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

  /** The memory that holds the matrices. */
  public TensorMemory memory() {
    return tables.tensor().memory();
  }

  /** Checks that this argument lies in the memory that the operation uses. */
  void requireIn(String name, TensorMemory expected) {
    if (memory() != expected)
      throw new IllegalArgumentException(name + " must lie in " + expected + ", found " + memory());
  }

  /**
   * Checks that all matrices and biases set here are open. Must be called inside a {@link
   * NativeCall}. Costs one comparison if nothing has been closed since the last check.
   *
   * @throws IllegalStateException if this or a matrix or bias set here is closed
   */
  void requireOpen() {
    long closings = NativeCall.closings();
    if (foundOpen == closings) return;
    requireExpert(0);
    synchronized (this) {
      if (owners != null) for (Expert owner : owners) if (owner != null) owner.requireOpen();
    }
    foundOpen = closings;
  }

  /** Fills the part of a product's arguments that describes these matrices. */
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
        .weightFormat(format.code())
        .weightLayout(layout.code())
        .productType(productType.code());
  }

  /**
   * Copies the tables of addresses to the device if they have changed. Operations do this
   * themselves, but cannot while a step is being captured.
   */
  public void handOver() {
    long change = changes.get(); // a change made from here on is copied by the next call
    if (handedOver == change) return;
    tables.fromHost();
    handedOver = change; // concurrent calls copy the same tables
  }

  /** Releases the tables of addresses, not the matrices. May be called twice. */
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
        + (biased ? " biased" : "")
        + (productType == DType.BF16 ? " multiplied in bf16" : "");
  }

  /** The caller counts the change. */
  private void put(int expert, long[] addresses, int first, @Nullable Expert owner) {
    numResident += (addresses[first] != 0 ? 1 : 0) - (entries.get(expert) != 0 ? 1 : 0);
    for (int table = 0; table < row.length; table++)
      entries.put(table * numExperts + expert, addresses[first + table]);
    if (owner != null && owners == null) owners = new Expert[numExperts];
    if (owners != null) owners[expert] = owner;
    foundOpen = -1;
  }

  private void requireExpert(int expert) {
    if (tables.tensor().isClosed()) throw new IllegalStateException("expert matrices are closed");
    if (expert < 0 || expert >= numExperts)
      throw new IllegalArgumentException(
          "expert must lie in [0, " + numExperts + "), found " + expert);
  }

  /** For expert caches, which have addresses instead of tensors. */
  private final class Addresses implements AddressTable {
    @Override
    public void put(int[] experts, int count, long[] addresses) {
      synchronized (ExpertMatrices.this) {
        NativeCall call = NativeCall.enter(); // a close() on another thread waits
        try {
          for (int i = 0; i < count; i++) {
            requireExpert(experts[i]);
            ExpertMatrices.this.put(experts[i], addresses, i * row.length, null);
          }
          changes.incrementAndGet();
        } finally {
          call.exit();
        }
      }
    }

    @Override
    public void keep(Object owner) {
      keptOwner = owner;
    }

    @Override
    public long get(int expert, int entry) {
      requireExpert(expert);
      return entries.get(entry * numExperts + expert);
    }
  }
}
