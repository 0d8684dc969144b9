package org.winnow.bench;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.winnow.Tensor;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;
import org.winnow.workload.MoeShape;

/**
 * Choosing 8 of 128 experts per token, from logits that are there, against softmax over all and a
 * full sort in Java. One token: the cost of a call.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class TopKRouterBenchmark extends BackendBenchmark {
  /** The rules whose costs differ. */
  public enum Rule {
    SOFTMAX,
    SOFTMAX_NOT_RENORMALISED,
    SIGMOID_GROUPS,
    SPARSEMAX
  }

  private static final MoeShape MODEL = MoeShape.QWEN3_30B_A3B;

  @Param Rule rule;

  @Param({"1", "512"})
  int numTokens;

  private Routing routing;
  private TopKRouter router;
  private float[] values;
  private Tensor logits;

  @Setup
  public void setup() {
    openBackend();
    routing = new Routing(backend.memory());
    router =
        switch (rule) {
          case SOFTMAX -> TopKRouter.softmax(MODEL.topK()).build();
          case SOFTMAX_NOT_RENORMALISED ->
              TopKRouter.softmax(MODEL.topK()).renormalise(false).build();
          case SIGMOID_GROUPS ->
              TopKRouter.sigmoid(MODEL.topK())
                  .groups(8, 4, TopKRouter.GroupScore.SUM_OF_TOP_TWO)
                  .build();
          case SPARSEMAX -> TopKRouter.sparsemax().build();
        };
    Random random = new Random(42);
    values = new float[numTokens * MODEL.numExperts()];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    logits = backend.of(values, numTokens, MODEL.numExperts());
    route();
    if (rule == Rule.SOFTMAX) {
      int[][] sorted = baselineFullSort();
      for (int t = 0; t < numTokens; t++) {
        int[] chosen =
            routing
                .expertIds()
                .slice((long) t * MODEL.topK(), (long) (t + 1) * MODEL.topK())
                .toIntArray();
        if (!Arrays.equals(chosen, sorted[t]))
          throw new AssertionError("token " + t + ": " + Arrays.toString(chosen));
      }
    }
  }

  @TearDown
  public void tearDown() {
    logits.close();
    routing.close();
    backend.close();
  }

  @Benchmark
  public Routing route() {
    router.run(backend, logits, routing);
    arrived(routing.expertIds());
    return routing;
  }

  @Benchmark
  public int[][] baselineFullSort() {
    int[][] chosen = new int[numTokens][MODEL.topK()];
    Integer[] ids = new Integer[MODEL.numExperts()];
    double[] p = new double[MODEL.numExperts()];
    for (int t = 0; t < numTokens; t++) {
      double sum = 0;
      for (int e = 0; e < ids.length; e++) {
        ids[e] = e;
        p[e] = Math.exp(values[t * ids.length + e]);
        sum += p[e];
      }
      for (int e = 0; e < ids.length; e++) p[e] /= sum;
      Arrays.sort(ids, Comparator.comparingDouble(e -> -p[e]));
      for (int slot = 0; slot < MODEL.topK(); slot++) chosen[t][slot] = ids[slot];
    }
    return chosen;
  }
}
