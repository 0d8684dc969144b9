package org.winnow.moe;

import static org.winnow.DType.F32;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.layer.Linear;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.GroupedGemm.Product;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/** The choosing half of a layer: from the router's logits to rows sorted by expert. */
final class ExpertChoice implements AutoCloseable {
  final Routing routing;
  final ExpertPlan plan;
  private final Linear router;
  private final TopKRouter rule;
  private final int numExperts;
  private final boolean everyExpert;
  private final SharedExperts shared;
  private final Workspace logits;

  ExpertChoice(MoeLayer.Builder builder, SharedExperts shared, TensorMemory memory) {
    router = builder.router;
    rule = builder.rule;
    numExperts = builder.numExperts;
    everyExpert = builder.everyExpert;
    this.shared = shared;
    routing = new Routing(memory);
    try {
      plan = new ExpertPlan(memory);
    } catch (RuntimeException | Error e) {
      routing.close();
      throw e;
    }
    logits = new Workspace(memory);
  }

  /** See {@link MoeLayer#canCapture}. */
  boolean canCapture() {
    return !everyExpert && rule.choosesFixedNumber();
  }

  void requireRouted() {
    if (logits.last() == null) throw new IllegalStateException("MoE layer has routed no token yet");
  }

  /** The last logits. */
  Tensor logits() {
    return left(logits);
  }

  /** What this half of a call has left in a workspace for the other. */
  static Tensor left(Workspace workspace) {
    Tensor last = workspace.last();
    if (last == null)
      throw new IllegalStateException("MoE layer has chosen no experts: call choose() first");
    return last;
  }

  /** Chooses, and computes the other products that read only hidden together with the logits. */
  void run(Backend backend, Tensor hidden) {
    Tensor scores = logits.get(F32, hidden.dim(0), numExperts);
    multiply(backend, router.product(hidden, scores), shared.gateUp(hidden), shared.gate(hidden));
    if (!everyExpert) {
      rule.run(backend, scores, routing, plan);
      return;
    }
    rule.run(backend, scores, routing);
    addUnchosen();
    plan.build(backend, routing, numExperts);
  }

  /** Computes the products that are not null, in one launch if the backend supports that. */
  void multiply(Backend backend, @Nullable Product... products) {
    NativeCall call = NativeCall.enter();
    try {
      router.requireOpen();
      shared.requireOpen();
      GroupedGemm.runTogether(backend, products);
    } finally {
      call.exit();
    }
  }

  /** Only the router's choice, into the caller's routing. */
  void route(Backend backend, Tensor hidden, Routing output) {
    Tensor scores = logits.get(F32, hidden.dim(0), numExperts);
    router.run(backend, hidden, scores);
    rule.run(backend, scores, output);
  }

  /** Adds to each token the experts that it did not choose, in ascending order with weight 0. */
  private void addUnchosen() {
    int numTokens = routing.numTokens();
    int[] offsets = routing.tokenOffsets().toIntArray();
    int[] chosen = routing.expertIds().toIntArray();
    float[] chosenWeights = routing.routingWeights().toFloatArray();
    int numRows = Math.multiplyExact(numTokens, numExperts);
    int[] ids = new int[numRows];
    float[] weights = new float[numRows];
    for (int token = 0; token < numTokens; token++) {
      boolean[] isChosen = new boolean[numExperts];
      int row = token * numExperts;
      for (int i = offsets[token]; i < offsets[token + 1]; i++, row++) {
        isChosen[chosen[i]] = true;
        ids[row] = chosen[i];
        weights[row] = chosenWeights[i];
      }
      for (int expert = 0; expert < numExperts; expert++)
        if (!isChosen[expert]) ids[row++] = expert;
    }
    int[] tokenOffsets = new int[numTokens + 1];
    Arrays.setAll(tokenOffsets, token -> token * numExperts);
    routing.set(tokenOffsets, ids, weights);
  }

  @Override
  public void close() {
    Resources.closeAll(routing, plan, logits);
  }
}
