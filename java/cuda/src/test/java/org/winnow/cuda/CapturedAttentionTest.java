package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.winnow.CapturedStep;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.AttentionProblem;
import org.winnow.op.KvCache;

/** Attention as a captured step: one launch for every position. */
class CapturedAttentionTest {
  private static final int KV_HEADS = 2;
  private static final int WIDTH = 64;

  /**
   * A captured append and attention are replayed for 300 tokens, over the edges of pages and
   * splits: the bits are those of one call for all.
   */
  @Test
  void aCapturedStepIsRightAtEveryPosition() {
    int numTokens = 300;
    int heads = 2 * KV_HEADS;
    float[] rows = AttentionProblem.gaussian(new Random(5), numTokens * KV_HEADS * WIDTH);
    float[] queries = AttentionProblem.gaussian(new Random(6), numTokens * heads * WIDTH);
    var options = AttentionOptions.causal(0.125f);
    try (var backend = new CudaBackend();
        KvCache expectedCache =
            new KvCache(backend.memory(), DType.F32, 1, KV_HEADS, WIDTH, WIDTH, numTokens);
        KvCache cache =
            new KvCache(backend.memory(), DType.F32, 1, KV_HEADS, WIDTH, WIDTH, numTokens);
        Tensor allRows = backend.of(rows, numTokens, KV_HEADS, WIDTH);
        Tensor allQueries = backend.of(queries, numTokens, heads, WIDTH);
        Tensor expected = backend.f32(numTokens, heads, WIDTH);
        Tensor row = backend.f32(1, KV_HEADS, WIDTH);
        Tensor query = backend.f32(1, heads, WIDTH);
        Tensor output = backend.f32(1, heads, WIDTH)) {
      expectedCache.append(backend, 0, expectedCache.keys(), allRows);
      expectedCache.append(backend, 0, expectedCache.values(), allRows);
      Attention.run(backend, allQueries, expectedCache, 0, 0, options, expected);
      Runnable step =
          () -> {
            cache.append(backend, 0, cache.keys(), row);
            cache.append(backend, 0, cache.values(), row);
            Attention.run(backend, query, cache, 0, cache.length(), options, output);
          };
      CapturedStep captured = null;
      for (int t = 0; t < numTokens; t++) {
        row.copyFrom(allRows.slice(t, t + 1));
        query.copyFrom(allQueries.slice(t, t + 1));
        cache.reserve(1);
        if (captured == null) {
          step.run(); // what is allocated once must be there before a capture
          captured = backend.capture(step);
        }
        captured.run();
        assertThat(output.toFloatArray())
            .as("token %d", t)
            .isEqualTo(expected.slice(t, t + 1).toFloatArray());
        cache.append(backend, 0, cache.keys(), row);
        cache.append(backend, 0, cache.values(), row); // for the host's count of what is written
        cache.advance(1);
      }
      captured.close();
    }
  }
}
