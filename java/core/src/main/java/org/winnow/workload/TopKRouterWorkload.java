package org.winnow.workload;

import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * The choice of experts from the router's logits: softmax, renormalised. Exponentials and
 * comparisons have no limit that a probe gives, and no dense form.
 */
public final class TopKRouterWorkload extends Workload {
  private final Backend backend;
  private final MoeShape model;
  private final Tensor logits;
  private final TopKRouter router;
  private final Routing routing;

  public TopKRouterWorkload(Backend backend, MoeShape model, int numTokens) {
    super("router", model.topK() + " of " + model.numExperts(), DType.F32, numTokens);
    this.backend = backend;
    this.model = model;
    logits = keep(NormalValues.fill(backend.f32(numTokens, model.numExperts()), new Random(5), 1));
    router = TopKRouter.softmax(model.topK()).build();
    routing = keep(new Routing(backend.memory()));
  }

  @Override
  public void run() {
    router.run(backend, logits, routing);
  }

  /** The experts' ids, [numTokens, topK] or longer. */
  @Override
  public Tensor output() {
    return routing.expertIds();
  }

  /** Checks every token's experts against a full sort, and their weights. */
  @Override
  public void check() {
    int k = model.topK();
    for (int t = 0; t < numTokens(); t++) {
      float[] z = logits.slice(t, t + 1L).toFloatArray();
      int[] ids = routing.expertIds().slice((long) t * k, (t + 1L) * k).toIntArray();
      float[] weights = routing.routingWeights().slice((long) t * k, (t + 1L) * k).toFloatArray();
      int[] sorted =
          IntStream.range(0, z.length)
              .boxed()
              .sorted(Comparator.comparing((Integer e) -> -z[e]).thenComparing(e -> e))
              .limit(k)
              .mapToInt(e -> e)
              .toArray();
      double mass = 0;
      for (int e : sorted) mass += Math.exp((double) z[e] - z[sorted[0]]);
      for (int i = 0; i < k; i++) {
        if (ids[i] != sorted[i])
          throw wrong(
              "choice " + i + " of token " + t + ": expected " + sorted[i] + ", found " + ids[i]);
        double weight = Math.exp((double) z[sorted[i]] - z[sorted[0]]) / mass;
        // differences rounded once, exponentials within 4 U, k sums and one quotient
        double difference = Math.abs((double) z[sorted[i]] - z[sorted[0]]);
        double bound = 2 * (difference + 4 + k + 2) * Exact.U * weight;
        requireWithin("weight " + i + " of token " + t, weight, bound, weights[i]);
      }
    }
  }

  @Override
  public Work work() {
    return Work.UNKNOWN;
  }

  @Override
  public Work denseWork() {
    return Work.UNKNOWN;
  }
}
