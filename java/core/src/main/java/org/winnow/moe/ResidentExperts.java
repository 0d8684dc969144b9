package org.winnow.moe;

import java.util.Arrays;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.op.ExpertMatrices;

/**
 * Experts whose weights are the caller's tensors, all in one memory. Tensors of the experts in use
 * must be open; on a device all experts count as in use. Closing a tensor waits for a layer that is
 * running. A layer that needs a closed tensor throws {@link IllegalStateException}.
 */
public final class ResidentExperts implements Experts, AutoCloseable {
  private final int[] all; // every expert id
  private final Expert[] experts;
  private final ExpertMatrices gateUp;
  private final ExpertMatrices down;
  private final ReentrantLock acquired = new ReentrantLock();
  private @Nullable NativeCall call;

  /** One expert's weights; a field is null if the expert has no such weight. */
  private record Expert(
      Matrix gate,
      @Nullable Matrix up,
      Matrix down,
      @Nullable Tensor gateBias,
      @Nullable Tensor upBias,
      @Nullable Tensor downBias) {
    boolean isClosed() {
      return isClosed(gate)
          || isClosed(up)
          || isClosed(down)
          || isClosed(gateBias)
          || isClosed(upBias)
          || isClosed(downBias);
    }

    private static boolean isClosed(@Nullable Matrix matrix) {
      return matrix != null && matrix.isClosed();
    }

    private static boolean isClosed(@Nullable Tensor bias) {
      return bias != null && bias.isClosed();
    }
  }

  /** Experts of plain matrices without biases; see the last constructor. */
  public ResidentExperts(Tensor[] gate, Tensor @Nullable [] up, Tensor[] down) {
    this(gate, up, down, null, null, null);
  }

  /** Experts of plain matrices in f32, bf16 or f16; see the last constructor. */
  public ResidentExperts(
      Tensor[] gate,
      Tensor @Nullable [] up,
      Tensor[] down,
      Tensor @Nullable [] gateBias,
      Tensor @Nullable [] upBias,
      Tensor @Nullable [] downBias) {
    this(
        matrices("gate", gate),
        up == null ? null : matrices("up", up),
        matrices("down", down),
        gateBias,
        upBias,
        downBias);
  }

  /** As the next constructor, with f32 activations. */
  public ResidentExperts(
      Matrix[] gate,
      Matrix @Nullable [] up,
      Matrix[] down,
      Tensor @Nullable [] gateBias,
      Tensor @Nullable [] upBias,
      Tensor @Nullable [] downBias) {
    this(gate, up, down, gateBias, upBias, downBias, DType.F32);
  }

  /**
   * @param gate per expert [intermediateSize, hiddenSize], all in one format
   * @param up as {@code gate}, in the same format; null if the experts are not gated
   * @param down per expert [hiddenSize, intermediateSize], all in one format, which may differ from
   *     that of {@code gate}
   * @param gateBias per expert [intermediateSize] f32, or null for none
   * @param upBias per expert [intermediateSize] f32, or null for none
   * @param downBias per expert [hiddenSize] f32, or null for none
   * @param activations f32, or bf16 to round f32 activations to bf16 before they are multiplied by
   *     matrices that are not f32
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong, or that lies
   *     in another memory than the first matrix
   */
  public ResidentExperts(
      Matrix[] gate,
      Matrix @Nullable [] up,
      Matrix[] down,
      Tensor @Nullable [] gateBias,
      Tensor @Nullable [] upBias,
      Tensor @Nullable [] downBias,
      DType activations) {
    if (gate.length == 0)
      throw new IllegalArgumentException("gate must have at least 1 expert, found 0");
    if (up == null && upBias != null)
      throw new IllegalArgumentException("upBias must be null without up");
    int numExperts = gate.length;
    Object @Nullable [][] arrays = {up, down, gateBias, upBias, downBias};
    String[] names = {"up", "down", "gateBias", "upBias", "downBias"};
    for (int i = 0; i < arrays.length; i++) requireLength(names[i], arrays[i], numExperts);
    Matrix first = gate[0];
    Matrix firstDown = down[0];
    TensorMemory memory = gate[0].memory();
    long f = gate[0].rows();
    long d = gate[0].columns();
    experts = new Expert[numExperts];
    for (int e = 0; e < numExperts; e++) {
      experts[e] =
          new Expert(
              require("gate", e, gate[e], memory, first, f, d),
              up == null ? null : require("up", e, up[e], memory, first, f, d),
              require("down", e, down[e], memory, firstDown, d, f),
              gateBias == null ? null : require("gateBias", e, gateBias[e], memory, f),
              upBias == null ? null : require("upBias", e, upBias[e], memory, f),
              downBias == null ? null : require("downBias", e, downBias[e], memory, d));
    }
    all = IntStream.range(0, numExperts).toArray();
    Resources open = new Resources();
    try {
      boolean biased = gateBias != null || upBias != null;
      gateUp =
          open.keep(
              new ExpertMatrices(
                  memory,
                  first.format(),
                  first.layout(),
                  ExpertMatrices.productType(first.format(), activations),
                  numExperts,
                  f,
                  d,
                  up != null,
                  biased));
      this.down =
          open.keep(
              new ExpertMatrices(
                  memory,
                  firstDown.format(),
                  firstDown.layout(),
                  ExpertMatrices.productType(firstDown.format(), activations),
                  numExperts,
                  d,
                  f,
                  false,
                  downBias != null));
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
   * Experts whose matrices are stacked in one tensor per role, as in many checkpoints.
   *
   * @param gate [numExperts, intermediateSize, hiddenSize]
   * @param up [numExperts, intermediateSize, hiddenSize], or null if the experts are not gated
   * @param down [numExperts, hiddenSize, intermediateSize]
   */
  public static ResidentExperts stacked(Tensor gate, @Nullable Tensor up, Tensor down) {
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
    call = NativeCall.enter(); // a thread that closes a tensor waits for release
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
    Objects.requireNonNull(call).exit();
    acquired.unlock();
  }

  /**
   * Waits for a running layer, then releases the tables of addresses. The tensors stay open. May be
   * called twice.
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
    Matrix[] matrices = new Matrix[tensors.length];
    Arrays.setAll(matrices, e -> Matrix.of(name + "[" + e + "]", tensors[e]));
    return matrices;
  }

  private static void requireLength(String name, Object @Nullable [] array, int numExperts) {
    if (array != null && array.length != numExperts)
      throw new IllegalArgumentException(
          name + " must have " + numExperts + " experts, found " + array.length);
  }

  private static Matrix require(
      String name,
      int expert,
      Matrix matrix,
      TensorMemory memory,
      Matrix first,
      long rows,
      long columns) {
    matrix.require(name + "[" + expert + "]", first.format(), first.layout(), rows, columns);
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
