package org.winnow.moe;

import static org.winnow.DType.F32;
import static org.winnow.moe.ExpertChoice.left;

import org.jspecify.annotations.Nullable;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.Resources;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.op.GroupedGemm.Product;

/**
 * The experts that every token of a layer goes to, if there are any, and the gate that weights
 * them. Their first products run with the router's, the last one with the routed experts'.
 */
final class SharedExperts implements AutoCloseable {
  private final @Nullable FeedForward experts;
  private final @Nullable Linear gate;
  private final Workspace inner;
  private final Workspace output;
  private final Workspace gateLogits;

  SharedExperts(MoeLayer.Builder builder, TensorMemory memory) {
    experts = builder.shared;
    gate = builder.sharedGate;
    inner = new Workspace(memory);
    output = new Workspace(memory);
    gateLogits = new Workspace(memory);
  }

  void requireOpen() {
    if (experts != null) experts.requireOpen();
    if (gate != null) gate.requireOpen();
  }

  /** The first product; null if there are no shared experts, as are the others. */
  @Nullable Product gateUp(Tensor hidden) {
    if (experts == null) return null;
    long numTokens = hidden.dim(0);
    output.get(F32, numTokens, hidden.dim(1));
    return experts.gateUp(hidden, inner.get(hidden.dtype(), numTokens, experts.intermediateSize()));
  }

  @Nullable Product gate(Tensor hidden) {
    return gate == null ? null : gate.product(hidden, gateLogits.get(F32, hidden.dim(0), 1));
  }

  @Nullable Product down() {
    return experts == null ? null : experts.down(left(inner), left(output));
  }

  /** [numTokens, hiddenSize] f32, or null. */
  @Nullable Tensor output() {
    return output.last();
  }

  /** [numTokens, 1] f32, or null. */
  @Nullable Tensor gateLogits() {
    return gateLogits.last();
  }

  @Override
  public void close() {
    Resources.closeAll(inner, output, gateLogits);
  }
}
