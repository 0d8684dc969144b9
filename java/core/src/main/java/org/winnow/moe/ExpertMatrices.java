package org.winnow.moe;

import java.nio.LongBuffer;
import java.util.concurrent.atomic.AtomicLong;
import org.winnow.DType;
import org.winnow.TensorMemory;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCalls;

/**
 * Where the matrices of a layer's experts lie in memory: for each expert the address of its weight
 * [outputSize, inputSize], row-major, and where the layer has them the addresses of a second (up)
 * weight of the same shape and of f32 biases [outputSize]. An expert without addresses is not
 * resident.
 *
 * <p>The tables are kept in the host's memory; on a device they have a copy there, renewed when an
 * operation asks for it after a change. It holds addresses only: whoever sets them keeps the memory
 * valid until they are cleared and no operation runs on them. Setting and clearing allocate
 * nothing; they must not run beside an operation that reads these tables.
 */
public final class ExpertMatrices implements AutoCloseable {
  private final DType weightType;
  private final int numExperts;
  private final long outputSize;
  private final long inputSize;
  private final boolean gated;
  private final boolean biased;
  private final MirroredTensor tables; // [weights, up weights, biases, up biases] x numExperts
  private final LongBuffer entries;
  private volatile int numResident;
  private final AtomicLong changes = new AtomicLong();
  private volatile long handedOver; // the change that the device's copy holds at least

  /** Tables of matrices in the host's memory; see the other constructor. */
  public ExpertMatrices(
      DType weightType,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    this(TensorMemory.host(), weightType, numExperts, outputSize, inputSize, gated, biased);
  }

  /**
   * @param memory where the matrices will lie, and the tables that operations read: the backend's
   * @param weightType f32, bf16 or f16
   * @param gated whether each expert has an up weight beside its weight: their products are
   *     combined as activation(gate, up)
   * @param biased whether experts may have biases
   * @throws IllegalArgumentException if the type is not floating or a size is below 1
   */
  public ExpertMatrices(
      TensorMemory memory,
      DType weightType,
      int numExperts,
      long outputSize,
      long inputSize,
      boolean gated,
      boolean biased) {
    if (!weightType.isFloating())
      throw new IllegalArgumentException(
          "weightType must be f32, bf16 or f16, found " + weightType);
    requirePositive("numExperts", numExperts);
    requirePositive("outputSize", outputSize);
    requirePositive("inputSize", inputSize);
    this.weightType = weightType;
    this.numExperts = numExperts;
    this.outputSize = outputSize;
    this.inputSize = inputSize;
    this.gated = gated;
    this.biased = biased;
    this.tables = new MirroredTensor(memory, DType.U64, 4, numExperts);
    this.entries = tables.longs();
  }

  private static void requirePositive(String name, long value) {
    if (value < 1) throw new IllegalArgumentException(name + " must be at least 1, found " + value);
  }

  public DType weightType() {
    return weightType;
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
   * @param weightAddress of [outputSize, inputSize] elements of {@link #weightType()}, aligned as
   *     one element is
   * @param upAddress the same for the up weight; 0 if not gated
   * @param biasAddress of [outputSize] f32; 0 = this expert has none
   * @param upBiasAddress the same for the up weight
   * @throws IllegalArgumentException if an address is missing, or given where this layer has no
   *     such matrix
   */
  public void set(
      int expert, long weightAddress, long upAddress, long biasAddress, long upBiasAddress) {
    requireExpert(expert);
    if (weightAddress == 0) throw new IllegalArgumentException("weightAddress must not be 0");
    if (gated != (upAddress != 0))
      throw new IllegalArgumentException(
          "upAddress must " + (gated ? "not " : "") + "be 0, found " + upAddress);
    if (!biased && (biasAddress | upBiasAddress) != 0)
      throw new IllegalArgumentException("biasAddress must be 0: these matrices have no biases");
    if (!gated && upBiasAddress != 0)
      throw new IllegalArgumentException("upBiasAddress must be 0: these matrices are not gated");
    put(expert, weightAddress, upAddress, biasAddress, upBiasAddress);
  }

  /** Makes an expert absent. */
  public void clear(int expert) {
    put(expert, 0, 0, 0, 0);
  }

  public boolean isResident(int expert) {
    int ticket = NativeCalls.enter();
    try {
      requireExpert(expert);
      return entries.get(expert) != 0;
    } finally {
      NativeCalls.exit(ticket);
    }
  }

  /** Whether every expert is resident. */
  public boolean isComplete() {
    return numResident == numExperts;
  }

  /** Address of the weights' addresses [numExperts]. For backends, like the three below. */
  public long weightTable() {
    return table(0);
  }

  /** Address of the up weights' addresses [numExperts], or 0. */
  public long upTable() {
    return gated ? table(1) : 0;
  }

  /** Address of the biases' addresses [numExperts], or 0. */
  public long biasTable() {
    return biased ? table(2) : 0;
  }

  /** Address of the up biases' addresses [numExperts], or 0. */
  public long upBiasTable() {
    return biased && gated ? table(3) : 0;
  }

  /** Where the matrices and the tables lie. */
  public TensorMemory memory() {
    return tables.tensor().memory();
  }

  /** Checks that this argument lies where an operation computes. */
  void requireIn(String name, TensorMemory expected) {
    if (memory() != expected)
      throw new IllegalArgumentException(name + " must lie in " + expected + ", found " + memory());
  }

  /** Releases the tables, not what they point to. May be called twice. */
  @Override
  public void close() {
    tables.close();
  }

  @Override
  public String toString() {
    return weightType
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

  private long table(int index) {
    if (handedOver != changes.get()) handOver();
    return tables.tensor().address() + (long) index * numExperts * Long.BYTES;
  }

  /** Holds no lock: one thread may be in the backend already, another about to enter it. */
  private void handOver() {
    long change = changes.get(); // an entry that is put meanwhile is handed over next time
    tables.fromHost();
    handedOver = change; // two threads that meet here have both copied the same
  }

  private void put(int expert, long weight, long up, long bias, long upBias) {
    int ticket = NativeCalls.enter(); // a close() on another thread waits
    try {
      requireExpert(expert);
      count(expert, weight != 0);
      entries.put(expert, weight);
      entries.put(numExperts + expert, up);
      entries.put(2 * numExperts + expert, bias);
      entries.put(3 * numExperts + expert, upBias);
      changes.incrementAndGet();
    } finally {
      NativeCalls.exit(ticket);
    }
  }

  private synchronized void count(int expert, boolean resident) {
    numResident += (resident ? 1 : 0) - (entries.get(expert) != 0 ? 1 : 0);
  }

  private void requireExpert(int expert) {
    if (tables.tensor().isClosed()) throw new IllegalStateException("expert matrices are closed");
    if (expert < 0 || expert >= numExperts)
      throw new IllegalArgumentException(
          "expert must lie in [0, " + numExperts + "), found " + expert);
  }
}
