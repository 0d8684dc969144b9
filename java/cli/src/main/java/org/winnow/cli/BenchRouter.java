package org.winnow.cli;

import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/** The choice of experts from the router's logits: softmax, the best 8 of 128. */
final class BenchRouter implements BenchOperation {
  private static final BenchShape SHAPE = BenchShape.QWEN3_30B_A3B;

  private final Backend backend;
  private final int tokens;
  private final Tensor logits;
  private final TopKRouter router = TopKRouter.softmax(SHAPE.topK).build();
  private final Routing routing = new Routing();

  BenchRouter(Backend backend, int tokens) {
    this.backend = backend;
    this.tokens = tokens;
    logits = Tensor.f32(tokens, SHAPE.numExperts);
    Random random = new Random(5);
    for (long i = 0; i < logits.size(); i++) logits.setFloat(i, (float) random.nextGaussian());
  }

  @Override
  public Work run() {
    router.run(backend, logits, routing);
    return Work.UNKNOWN; // exponentials and comparisons: no limit that a probe gives
  }

  /** Every token's experts against a full sort. */
  @Override
  public @Nullable String check() {
    for (int t = 0; t < tokens; t++) {
      long row = (long) t * SHAPE.numExperts;
      List<Integer> sorted =
          IntStream.range(0, SHAPE.numExperts)
              .boxed()
              .sorted(
                  Comparator.comparing((Integer e) -> -logits.getFloat(row + e))
                      .thenComparing(e -> e))
              .limit(SHAPE.topK)
              .toList();
      for (int k = 0; k < SHAPE.topK; k++) {
        int found = routing.expertIds().getInt((long) t * SHAPE.topK + k);
        if (found != sorted.get(k))
          return "choice "
              + k
              + " of token "
              + t
              + ": expected "
              + sorted.get(k)
              + ", found "
              + found;
      }
    }
    return null;
  }

  @Override
  public DType type() {
    return DType.F32;
  }

  @Override
  public String operation() {
    return "router";
  }

  @Override
  public String shape() {
    return SHAPE.topK + " of " + SHAPE.numExperts;
  }

  @Override
  public int tokens() {
    return tokens;
  }

  @Override
  public void close() {
    logits.close();
    routing.close();
  }
}
