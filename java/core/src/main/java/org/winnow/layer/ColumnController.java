package org.winnow.layer;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.Workspace;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TurnLock;
import org.winnow.op.Activation;
import org.winnow.op.ActiveColumns;
import org.winnow.op.ColumnRule;

/**
 * A low-rank controller of a feed-forward block: two linear maps give each column a logit, and a
 * rule makes some columns active.
 *
 * <pre>{@code
 * logits = expand(reduce(x)) + bias   or, rectified,   expand(max(reduce(x), 0)) + bias
 * }</pre>
 *
 * Without the rectifier between the maps this is the controller of Scaling Transformer
 * (arXiv:2111.12763, section 3.1) and the predictor of Deja Vu (arXiv:2310.17157); PowerInfer
 * (arXiv:2312.12456) has the rectifier. It needs none of the block's weights, so it can run before
 * they are read. Calls from several threads run one after the other.
 */
public final class ColumnController implements AutoCloseable {
  private final Linear reduce;
  private final Linear expand;
  private final boolean rectified;
  private final @Nullable Tensor bias;
  private final ColumnRule rule;
  private final TurnLock lock = new TurnLock("column controller");
  private final Workspace reduced;
  private final Workspace logits;
  private volatile boolean closed;

  /**
   * @param reduce [rank, hiddenSize]
   * @param expand [intermediateSize, rank]
   * @param rectified whether negative values between the maps become 0
   * @param bias [intermediateSize] f32, or null
   * @throws IllegalArgumentException naming the argument whose shape, type or memory does not
   *     match, or if the rule does not fit the number of columns
   */
  public ColumnController(
      Linear reduce, Linear expand, boolean rectified, @Nullable Tensor bias, ColumnRule rule) {
    if (expand.inputSize() != reduce.outputSize())
      throw new IllegalArgumentException(
          "expand must take " + reduce.outputSize() + " elements, found " + expand.inputSize());
    expand.weight().requireIn("expand", reduce.weight().memory());
    if (bias != null) {
      bias.require("bias", F32, expand.outputSize());
      bias.requireIn("bias", reduce.weight().memory());
    }
    rule.maxActive(expand.outputSize());
    this.reduce = reduce;
    this.expand = expand;
    this.rectified = rectified;
    this.bias = bias;
    this.rule = rule;
    this.reduced = new Workspace(reduce.weight().memory());
    this.logits = new Workspace(reduce.weight().memory());
  }

  public long hiddenSize() {
    return reduce.inputSize();
  }

  public long intermediateSize() {
    return expand.outputSize();
  }

  public long rank() {
    return reduce.outputSize();
  }

  public ColumnRule rule() {
    return rule;
  }

  /**
   * Chooses the columns of every token.
   *
   * @param input [numTokens, hiddenSize], f32 or bf16
   * @param output overwritten
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has run then
   * @throws org.winnow.InvalidLogitsException naming the first token whose logits hold a NaN
   * @throws IllegalStateException if a tensor, this or the backend is closed
   */
  public void choose(Backend backend, Tensor input, ActiveColumns output) {
    lock.lock();
    try {
      requireOpen();
      input.requireFloating("input", ANY, hiddenSize());
      input.requireIn("input", backend.memory());
      input.requireIn("input", reduced.memory());
      Tensor low = reduced.get(F32, input.dim(0), rank());
      Tensor all = logits.get(F32, input.dim(0), intermediateSize());
      reduce.run(backend, input, rectified ? Activation.RELU : Activation.NONE, low);
      expand.run(backend, low, all);
      output.choose(backend, all, bias, rule);
    } finally {
      lock.unlock();
    }
  }

  /** Waits for running calls, then frees the workspace. The maps stay open. */
  @Override
  public void close() {
    NativeCall.requireOutside();
    lock.lock();
    closed = true;
    lock.unlock();
    Resources.closeAll(reduced, logits);
  }

  private void requireOpen() {
    if (closed) throw new IllegalStateException("column controller is closed");
  }
}
