package org.winnow.moe;

import static org.winnow.DType.F32;
import static org.winnow.moe.ExpertChoice.left;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.Resources;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm.Product;
import org.winnow.op.MoeCombine;

/** The computing half of a layer: a wave's experts multiply their rows, and tokens add them up. */
final class RoutedExperts implements AutoCloseable {
  private final Experts experts;
  private final Activation activation;
  private final ExpertChoice choice;
  private final ExpertPlan plan;
  private final SharedExperts shared;
  private final ExpertWaves waves;
  private final long intermediateSize;
  private final Workspace inner;
  private final Workspace output;

  RoutedExperts(
      MoeLayer.Builder builder,
      ExpertChoice choice,
      SharedExperts shared,
      ExpertWaves waves,
      TensorMemory memory) {
    experts = builder.experts;
    activation = builder.activation;
    intermediateSize = builder.intermediateSize;
    this.choice = choice;
    this.plan = choice.plan;
    this.shared = shared;
    this.waves = waves;
    inner = new Workspace(memory);
    output = new Workspace(memory);
  }

  /** Makes room for all rows: no tensor may be replaced while experts are held. */
  void reserve(DType innerType, long hiddenSize) {
    inner.get(innerType, plan.numRows(), intermediateSize);
    output.get(F32, plan.numRows(), hiddenSize);
  }

  /** Copies tables of addresses to the device. */
  void handOverTables() {
    experts.gateUp().handOver();
    experts.down().handOver();
  }

  /** Computes the experts of this wave, and shared ones beside those of the first wave. */
  void multiply(Backend backend, Tensor hidden, boolean withShared) {
    choice.multiply(
        backend,
        product(hidden, plan.sourceRows(), experts.gateUp(), activation, left(inner)),
        withShared ? shared.down() : null);
    choice.multiply(
        backend, product(left(inner), null, experts.down(), Activation.NONE, left(output)));
  }

  /** Computes the shared experts where no token has another. */
  void multiplyShared(Backend backend) {
    choice.multiply(backend, shared.down());
  }

  /** Adds up each token's rows and its shared experts. */
  void combine(Backend backend, Tensor result) {
    MoeCombine.run(
        backend, left(output), choice.routing, plan, shared.output(), shared.gateLogits(), result);
  }

  private Product product(
      Tensor input,
      @Nullable Tensor sourceRows,
      ExpertMatrices weights,
      Activation act,
      Tensor result) {
    return new Product(
        input,
        sourceRows,
        plan.expertOffsets(),
        waves.experts(),
        waves.numExperts(),
        weights,
        act,
        result);
  }

  /** The type that {@link #reserve} was told. */
  DType innerType() {
    return left(inner).dtype();
  }

  @Override
  public void close() {
    Resources.closeAll(inner, output);
  }
}
