package org.winnow.layer;

import static org.winnow.Tensor.ANY;

import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TurnLock;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm;

/**
 * A dense gated feed-forward block: {@code output = down(activation(gate(x), up(x)))}. Gate and up
 * are computed in one pass over the input. The inner layer has the input's type. Each linear map
 * says what it multiplies in. Calls from several threads run one after the other.
 */
public final class FeedForward implements AutoCloseable {
  private final Linear gate;
  private final Linear up;
  private final Linear down;
  private final Activation activation;
  private final ExpertMatrices gateUp;
  private final ExpertMatrices downMatrix;
  private final TurnLock lock = new TurnLock("feed-forward block");
  private final Workspace inner;
  private volatile boolean closed;

  /**
   * @param gate [intermediateSize, hiddenSize]
   * @param up [intermediateSize, hiddenSize], in the format and layout of {@code gate}, with the
   *     same activations
   * @param down [hiddenSize, intermediateSize]
   * @throws IllegalArgumentException if the shapes, formats, product types or memories do not match
   */
  public FeedForward(Linear gate, Linear up, Linear down, Activation activation) {
    up.weight()
        .require(
            "up",
            gate.weight().format(),
            gate.weight().layout(),
            gate.outputSize(),
            gate.inputSize());
    down.weight()
        .require(
            "down",
            down.weight().format(),
            down.weight().layout(),
            gate.inputSize(),
            gate.outputSize());
    if (up.productType() != gate.productType())
      throw new IllegalArgumentException(
          "up must multiply in " + gate.productType() + ", found " + up.productType());
    TensorMemory memory = gate.weight().memory();
    up.weight().requireIn("up", memory);
    down.weight().requireIn("down", memory);
    this.gate = gate;
    this.up = up;
    this.down = down;
    this.activation = activation;
    this.inner = new Workspace(memory);
    boolean biased = gate.bias() != null || up.bias() != null;
    gateUp =
        new ExpertMatrices(
            memory,
            gate.weight().format(),
            gate.weight().layout(),
            gate.productType(),
            1,
            gate.outputSize(),
            gate.inputSize(),
            true,
            biased);
    try {
      gateUp.set(0, gate.weight(), up.weight(), gate.bias(), up.bias());
      downMatrix =
          new ExpertMatrices(
              memory,
              down.weight().format(),
              down.weight().layout(),
              down.productType(),
              1,
              down.outputSize(),
              down.inputSize(),
              false,
              down.bias() != null);
    } catch (RuntimeException | Error e) {
      gateUp.close();
      throw e;
    }
    downMatrix.set(0, down.weight(), null, down.bias(), null);
  }

  public long hiddenSize() {
    return gate.inputSize();
  }

  public long intermediateSize() {
    return gate.outputSize();
  }

  /**
   * @param input [T, hiddenSize], f32 or bf16
   * @param output [T, hiddenSize], f32 or bf16, overwritten; must not overlap the input
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor, this or the backend is closed
   */
  public void run(Backend backend, Tensor input, Tensor output) {
    lock.lock();
    try {
      requireOpen();
      input.requireFloating("input", ANY, hiddenSize());
      output.requireFloating("output", input.dim(0), hiddenSize());
      input.requireIn("input", backend.memory());
      input.requireIn("input", inner.memory());
      Tensor middle = inner.get(input.dtype(), input.dim(0), intermediateSize());
      multiply(backend, input, middle, output);
    } finally {
      lock.unlock();
    }
  }

  private void multiply(Backend backend, Tensor input, Tensor middle, Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      GroupedGemm.runSingle(backend, input, gateUp, activation, middle);
      GroupedGemm.runSingle(backend, middle, downMatrix, Activation.NONE, output);
    } finally {
      call.exit();
    }
  }

  /**
   * The first of two products, {@code inner = activation(gate(x), up(x))}, for a layer that
   * computes it together with other products. The caller must keep this open.
   *
   * @param inner [T, intermediateSize], overwritten when the product runs
   */
  public GroupedGemm.Product gateUp(Tensor input, Tensor inner) {
    return GroupedGemm.Product.single(input, gateUp, activation, inner);
  }

  /** The second product: {@code output = down(inner)}. */
  public GroupedGemm.Product down(Tensor inner, Tensor output) {
    return GroupedGemm.Product.single(inner, downMatrix, Activation.NONE, output);
  }

  /**
   * @throws IllegalStateException if this or one of the three linear maps is closed
   */
  public void requireOpen() {
    if (closed) throw new IllegalStateException("feed-forward block is closed");
    gate.requireOpen();
    up.requireOpen();
    down.requireOpen();
  }

  /**
   * Releases the tensors that this allocated. The three linear maps stay open. May be called twice.
   */
  @Override
  public void close() {
    NativeCall.requireOutside();
    lock.lock(); // waits for a running call; later calls find the block closed
    closed = true;
    lock.unlock();
    Resources.closeAll(gateUp, downMatrix, inner);
  }
}
