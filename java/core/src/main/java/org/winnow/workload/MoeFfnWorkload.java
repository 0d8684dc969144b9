package org.winnow.workload;

import java.util.Arrays;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.Activation;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.Routing;

/**
 * The feed-forward block of a mixture-of-experts layer, gate and up fused with SiLU, then down, for
 * tokens that are routed already: uniformly at random. Each run takes the experts from other places
 * of the pool, in turn, so that they come from memory as in a model with many layers.
 */
public final class MoeFfnWorkload extends Workload {
  private static final int NUM_CHECKED = 32;

  private final Backend backend;
  private final MoeShape model;
  private final WeightPool pool;
  private final Routing routing;
  private final ExpertPlan plan;
  private final Tensor input;
  private final Tensor inner;
  private final Tensor output;
  private final int[][] places; // [layer][expert]
  private final ResidentExperts[] layers;
  private int next;
  private int last; // the layer of the last run

  /**
   * @param pool in the backend's memory; not closed here
   * @param random chooses the experts, the hidden states and where in the pool runs begin
   */
  public MoeFfnWorkload(
      Backend backend, MoeShape model, WeightPool pool, int numTokens, Random random) {
    super("MoE feed-forward", model.model(), pool.type(), numTokens);
    this.backend = backend;
    this.model = model;
    this.pool = pool;
    routing = keep(new Routing(pool.memory()));
    plan = keep(new ExpertPlan(pool.memory()));
    route(numTokens, random);
    plan.build(backend, routing, model.numExperts());
    input =
        keep(
            NormalValues.fill(
                Tensor.allocate(pool.memory(), pool.hiddenType(), numTokens, model.hiddenSize()),
                random,
                1));
    int numRows = plan.numRows();
    inner =
        keep(Tensor.allocate(pool.memory(), pool.hiddenType(), numRows, model.intermediateSize()));
    output = keep(Tensor.allocate(pool.memory(), DType.F32, numRows, model.hiddenSize()));
    places = places();
    layers = new ResidentExperts[places.length];
    for (int i = 0; i < layers.length; i++) layers[i] = keep(pool.experts(model, places[i]));
    next = random.nextInt(layers.length);
  }

  private void route(int numTokens, Random random) {
    int k = model.topK();
    int[] offsets = new int[numTokens + 1];
    int[] ids = new int[numTokens * k];
    float[] weights = new float[ids.length];
    Arrays.fill(weights, 1f / k);
    for (int t = 0; t < numTokens; t++) {
      int[] chosen = random.ints(0, model.numExperts()).distinct().limit(k).toArray();
      System.arraycopy(chosen, 0, ids, t * k, k);
      offsets[t + 1] = (t + 1) * k;
    }
    routing.set(offsets, ids, weights);
  }

  /** The places of so many layers that each place is read once, by an expert that has rows. */
  private int[][] places() {
    int numPlaces = pool.numPlaces(model);
    int numActive = plan.numActiveExperts();
    int[][] places = new int[(numPlaces + numActive - 1) / numActive][model.numExperts()];
    for (int layer = 0; layer < places.length; layer++) {
      for (int i = 0; i < numActive; i++)
        places[layer][plan.activeExpert(i)] = (int) (((long) layer * numActive + i) % numPlaces);
    }
    return places;
  }

  @Override
  public void run() {
    last = next;
    next = (next + 1) % layers.length;
    GroupedGemm.run(backend, input, plan, layers[last].gateUp(), Activation.SILU, inner);
    GroupedGemm.run(
        backend,
        inner,
        null,
        plan.expertOffsets(),
        plan.activeExperts(),
        plan.maxActiveExperts(),
        layers[last].down(),
        Activation.NONE,
        output);
  }

  @Override
  public Tensor output() {
    return output;
  }

  /**
   * Checks random elements of both products. The second is judged by the inner layer that the run
   * computed.
   */
  @Override
  public void check() {
    Random random = new Random(1);
    int[] offsets = plan.expertOffsets().toIntArray();
    int[] source = plan.sourceRows().toIntArray();
    for (int i = 0; i < NUM_CHECKED; i++) {
      int row = random.nextInt(plan.numRows());
      int expert = 0;
      while (offsets[expert + 1] <= row) expert++;
      WeightPool.Expert weights = pool.expert(model, places[last][expert]);
      float[] x = row(input, source[row]);
      int column = random.nextInt(model.intermediateSize());
      Exact expected =
          Exact.siluTimes(
              Exact.dot(x, pool.row(weights.gate(), column), 0),
              Exact.dot(x, pool.row(weights.up(), column), 0));
      float[] h = row(inner, row);
      requireNear(
          "inner element " + column + " of row " + row,
          expected.roundedTo(inner.dtype()),
          h[column]);
      column = random.nextInt(model.hiddenSize());
      requireNear(
          "element " + column + " of row " + row,
          Exact.dot(h, pool.row(weights.down(), column), 0),
          output.getFloat((long) row * model.hiddenSize() + column));
    }
  }

  private static float[] row(Tensor tensor, int row) {
    return NormalValues.read(tensor.slice(row, row + 1L));
  }

  @Override
  public Work work() {
    return model.feedForward(type(), plan.numRows(), plan.numActiveExperts());
  }

  @Override
  public Work denseWork() {
    return model.denseFeedForward(type(), numTokens());
  }
}
