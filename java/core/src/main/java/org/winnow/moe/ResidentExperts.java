package org.winnow.moe;

import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCalls;
import org.winnow.internal.Resources;

/**
 * Experts whose weights are the caller's tensors, all in one memory. The tensors must be open while
 * a layer runs on them (on a device all of them, chosen or not); closing one waits for the layer
 * that runs, and a layer that needs a closed one is refused.
 */
public final class ResidentExperts implements Experts, AutoCloseable {
  // [gate, up, down, gateBias, upBias, downBias][expert], each null where there is none
  private final int[] all; // every expert id
  private final Tensor[][] tensors;
  private final ExpertMatrices gateUp;
  private final ExpertMatrices down;
  private final ReentrantLock acquired = new ReentrantLock();
  private int ticket;

  /** Experts without biases; see the other constructor. */
  public ResidentExperts(Tensor[] gate, Tensor[] up, Tensor[] down) {
    this(gate, up, down, null, null, null);
  }

  /**
   * @param gate per expert [intermediateSize, hiddenSize], f32, bf16 or f16, all of one type
   * @param up the same; null: the experts are not gated
   * @param down per expert [hiddenSize, intermediateSize] of the same type
   * @param gateBias per expert [intermediateSize] f32; null: none
   * @param upBias per expert [intermediateSize] f32; null: none
   * @param downBias per expert [hiddenSize] f32; null: none
   * @throws IllegalArgumentException naming the tensor whose shape or type is wrong, or that lies
   *     in another memory than the first
   */
  public ResidentExperts(
      Tensor[] gate,
      Tensor[] up,
      Tensor[] down,
      Tensor[] gateBias,
      Tensor[] upBias,
      Tensor[] downBias) {
    if (gate.length == 0)
      throw new IllegalArgumentException("gate must have at least 1 expert, found 0");
    if (gate[0].rank() != 2)
      throw new IllegalArgumentException("gate[0] must be [any, any], found " + gate[0]);
    long f = gate[0].dim(0);
    long d = gate[0].dim(1);
    DType type = gate[0].dtype();
    TensorMemory memory = gate[0].memory();
    if (up == null && upBias != null)
      throw new IllegalArgumentException("upBias must be null without up");
    tensors =
        new Tensor[][] {
          copy("gate", gate, gate.length, memory, type, f, d),
          copy("up", up, gate.length, memory, type, f, d),
          copy("down", down, gate.length, memory, type, d, f),
          copy("gateBias", gateBias, gate.length, memory, DType.F32, f),
          copy("upBias", upBias, gate.length, memory, DType.F32, f),
          copy("downBias", downBias, gate.length, memory, DType.F32, d)
        };
    all = IntStream.range(0, gate.length).toArray();
    gateUp =
        new ExpertMatrices(
            memory, type, gate.length, f, d, up != null, gateBias != null || upBias != null);
    try {
      this.down = new ExpertMatrices(memory, type, gate.length, d, f, false, downBias != null);
    } catch (RuntimeException | Error e) {
      gateUp.close();
      throw e;
    }
    for (int e = 0; e < gate.length; e++) {
      gateUp.set(e, address(0, e), address(1, e), address(3, e), address(4, e));
      this.down.set(e, address(2, e), 0, address(5, e), 0);
    }
  }

  /**
   * Experts stacked in one tensor each, as many checkpoints have them.
   *
   * @param gate [numExperts, intermediateSize, hiddenSize]
   * @param up the same, or null
   * @param down [numExperts, hiddenSize, intermediateSize]
   */
  public static ResidentExperts stacked(Tensor gate, Tensor up, Tensor down) {
    return new ResidentExperts(unstack(gate), up == null ? null : unstack(up), unstack(down));
  }

  @Override
  public int numExperts() {
    return gateUp.numExperts();
  }

  @Override
  public long hiddenSize() {
    return gateUp.inputSize();
  }

  @Override
  public long intermediateSize() {
    return gateUp.outputSize();
  }

  @Override
  public DType weightType() {
    return gateUp.weightType();
  }

  @Override
  public int maxPinned() {
    return numExperts();
  }

  @Override
  public boolean isResident(int expert) {
    return gateUp.isResident(expert);
  }

  @Override
  public boolean isAlwaysResident() {
    return true;
  }

  @Override
  public void acquire(int[] expertIds, int count) {
    if (acquired.isHeldByCurrentThread())
      throw new IllegalStateException("experts are already acquired by this thread");
    acquired.lock();
    ticket = NativeCalls.enter(); // whoever closes a tensor waits for release
    try {
      for (int i = 0; i < count; i++) {
        if (i > 0 && expertIds[i] <= expertIds[i - 1]) {
          throw new IllegalArgumentException(
              "expertIds must ascend, found " + expertIds[i] + " after " + expertIds[i - 1]);
        }
        requireOpen(expertIds[i]);
      }
    } catch (RuntimeException e) {
      release();
      throw e;
    }
  }

  @Override
  public void acquireAll() {
    acquire(all, all.length);
  }

  @Override
  public void hint(int[] expertIds, int count) {}

  @Override
  public ExpertMatrices gateUp() {
    return gateUp;
  }

  @Override
  public ExpertMatrices down() {
    return down;
  }

  @Override
  public void release() {
    if (!acquired.isHeldByCurrentThread())
      throw new IllegalStateException("experts are not acquired by this thread");
    NativeCalls.exit(ticket);
    acquired.unlock();
  }

  /**
   * Releases the tables; the tensors stay the caller's. May be called twice, and waits for a layer
   * that runs.
   */
  @Override
  public void close() {
    Resources.closeAll(gateUp, down);
  }

  private void requireOpen(int expert) {
    gateUp.isResident(expert); // throws if these experts are closed
    for (Tensor[] kind : tensors) {
      if (kind != null && kind[expert].isClosed())
        throw new IllegalStateException("a weight of expert " + expert + " is closed");
    }
  }

  private long address(int kind, int expert) {
    return tensors[kind] == null ? 0 : tensors[kind][expert].address();
  }

  private static Tensor[] copy(
      String name,
      Tensor[] tensors,
      int numExperts,
      TensorMemory memory,
      DType type,
      long... shape) {
    if (tensors == null) return null;
    if (tensors.length != numExperts) {
      throw new IllegalArgumentException(
          name + " must have " + numExperts + " experts, found " + tensors.length);
    }
    for (int e = 0; e < numExperts; e++) {
      tensors[e].require(name + "[" + e + "]", type, shape);
      tensors[e].requireIn(name + "[" + e + "]", memory);
    }
    return tensors.clone();
  }

  private static Tensor[] unstack(Tensor stacked) {
    if (stacked.rank() != 3)
      throw new IllegalArgumentException(
          "stacked experts must be [any, any, any], found " + stacked);
    Tensor[] experts = new Tensor[Math.toIntExact(stacked.dim(0))];
    for (int e = 0; e < experts.length; e++)
      experts[e] = stacked.slice(e, e + 1).reshape(stacked.dim(1), stacked.dim(2));
    return experts;
  }
}
