package org.winnow.moe;

import java.util.Arrays;
import org.winnow.Matrix;
import org.winnow.WeightFormat;

import org.winnow.op.ExpertMatrices;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;

/**
 * Experts whose weights are the caller's tensors, all in one memory. The tensors must be open while
 * a layer runs on them (on a device all of them, chosen or not); closing one waits for the layer
 * that runs, and a layer that needs a closed one is refused.
 */
public final class ResidentExperts implements Experts, AutoCloseable {
  private final int[] all; // every expert id
  private final Expert[] experts;
  private final ExpertMatrices gateUp;
  private final ExpertMatrices down;
  private final ReentrantLock acquired = new ReentrantLock();
  private NativeCall call;

  /** One expert's weights; null where it has none. */
  private record Expert(
      Matrix gate, Matrix up, Matrix down, Tensor gateBias, Tensor upBias, Tensor downBias) {
    boolean isClosed() {
      return isClosed(gate)
          || isClosed(up)
          || isClosed(down)
          || isClosed(gateBias)
          || isClosed(upBias)
          || isClosed(downBias);
    }

    private static boolean isClosed(Matrix matrix) {
      return matrix != null && matrix.isClosed();
    }

    private static boolean isClosed(Tensor bias) {
      return bias != null && bias.isClosed();
    }
  }

  /** Experts without biases; see the other constructors. */
  public ResidentExperts(Tensor[] gate, Tensor[] up, Tensor[] down) {
    this(gate, up, down, null, null, null);
  }

  /** Experts of plain matrices, f32, bf16 or f16; see the next constructor. */
  public ResidentExperts(
      Tensor[] gate,
      Tensor[] up,
      Tensor[] down,
      Tensor[] gateBias,
      Tensor[] upBias,
      Tensor[] downBias) {
    this(
        matrices("gate", gate),
        matrices("up", up),
        matrices("down", down),
        gateBias,
        upBias,
        downBias);
  }

  /**
   * @param gate per expert [intermediateSize, hiddenSize], all of one format
   * @param up the same, of the same format; null: the experts are not gated
   * @param down per expert [hiddenSize, intermediateSize], all of one format, which may be another
   * @param gateBias per expert [intermediateSize] f32; null: none
   * @param upBias per expert [intermediateSize] f32; null: none
   * @param downBias per expert [hiddenSize] f32; null: none
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong, or that lies
   *     in another memory than the first
   */
  public ResidentExperts(
      Matrix[] gate,
      Matrix[] up,
      Matrix[] down,
      Tensor[] gateBias,
      Tensor[] upBias,
      Tensor[] downBias) {
    if (gate.length == 0)
      throw new IllegalArgumentException("gate must have at least 1 expert, found 0");
    if (up == null && upBias != null)
      throw new IllegalArgumentException("upBias must be null without up");
    int numExperts = gate.length;
    Object[][] arrays = {up, down, gateBias, upBias, downBias};
    String[] names = {"up", "down", "gateBias", "upBias", "downBias"};
    for (int i = 0; i < arrays.length; i++) requireLength(names[i], arrays[i], numExperts);
    WeightFormat format = gate[0].format();
    WeightFormat downFormat = down[0].format();
    TensorMemory memory = gate[0].memory();
    long f = gate[0].rows();
    long d = gate[0].columns();
    experts = new Expert[numExperts];
    for (int e = 0; e < numExperts; e++) {
      experts[e] =
          new Expert(
              require("gate", e, gate[e], memory, format, f, d),
              up == null ? null : require("up", e, up[e], memory, format, f, d),
              require("down", e, down[e], memory, downFormat, d, f),
              gateBias == null ? null : require("gateBias", e, gateBias[e], memory, f),
              upBias == null ? null : require("upBias", e, upBias[e], memory, f),
              downBias == null ? null : require("downBias", e, downBias[e], memory, d));
    }
    all = IntStream.range(0, numExperts).toArray();
    Resources open = new Resources();
    try {
      boolean biased = gateBias != null || upBias != null;
      gateUp =
          open.keep(new ExpertMatrices(memory, format, numExperts, f, d, up != null, biased));
      this.down =
          open.keep(
              new ExpertMatrices(memory, downFormat, numExperts, d, f, false, downBias != null));
      for (int e = 0; e < numExperts; e++) {
        Expert expert = experts[e];
        gateUp.set(e, expert.gate, expert.up, expert.gateBias, expert.upBias);
        this.down.set(e, expert.down, null, expert.downBias, null);
      }
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
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
    return new ResidentExperts(
        Matrix.unstack(gate),
        up == null ? null : Matrix.unstack(up),
        Matrix.unstack(down),
        null,
        null,
        null);
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
    if (count < 0 || count > expertIds.length)
      throw new IllegalArgumentException(
          "count must lie in [0, " + expertIds.length + "], found " + count);
    if (acquired.isHeldByCurrentThread())
      throw new IllegalStateException("experts are already acquired by this thread");
    acquired.lock();
    call = NativeCall.enter(); // whoever closes a tensor waits for release
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
    call.exit();
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
    if (experts[expert].isClosed())
      throw new IllegalStateException("a weight of expert " + expert + " is closed");
  }

  private static Matrix[] matrices(String name, Tensor[] tensors) {
    if (tensors == null) return null;
    Matrix[] matrices = new Matrix[tensors.length];
    Arrays.setAll(matrices, e -> Matrix.of(name + "[" + e + "]", tensors[e]));
    return matrices;
  }

  private static void requireLength(String name, Object[] array, int numExperts) {
    if (array != null && array.length != numExperts)
      throw new IllegalArgumentException(
          name + " must have " + numExperts + " experts, found " + array.length);
  }

  private static Matrix require(
      String name,
      int expert,
      Matrix matrix,
      TensorMemory memory,
      WeightFormat format,
      long rows,
      long columns) {
    matrix.require(name + "[" + expert + "]", format, rows, columns);
    matrix.requireIn(name + "[" + expert + "]", memory);
    return matrix;
  }

  private static Tensor require(
      String name, int expert, Tensor bias, TensorMemory memory, long size) {
    bias.require(name + "[" + expert + "]", DType.F32, size);
    bias.requireIn(name + "[" + expert + "]", memory);
    return bias;
  }
}
