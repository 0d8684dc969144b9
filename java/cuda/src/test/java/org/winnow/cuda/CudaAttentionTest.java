package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.AttentionProblem;
import org.winnow.op.KvCache;

/** What the parts of split keys take, beside long context limits. */
class CudaAttentionTest {
  private static final int KV_HEADS = 2;
  private static final int WIDTH = 64;
  private static final int LIMIT = 131_072;
  private static final long MIB = 1L << 20;

  /** Limit, heads, value width; bytes of one token's parts in MiB. */
  @ParameterizedTest
  @CsvSource({
    "163840, 128, 512, 161",
    "131072, 64, 64, 9",
    "262144, 32, 128, 17",
    "4096, 8, 64, 1"
  })
  void partsTakeWhatOneTokenNeedsOr64MiB(int limit, int heads, int width, int tokenMiB) {
    long maxBytes = Math.max(64, tokenMiB) * MIB;
    for (int numTokens : new int[] {1, 2, 3, 7, 16, 64, 132, 396, 512, 4096}) {
      for (int length : new int[] {numTokens, limit}) {
        int splits = CudaAttention.splits(limit, length, numTokens, heads, width, 0);
        long bytes = AttentionLaunch.partsBytes((long) splits * numTokens * heads, width);
        assertThat(splits == 1 || bytes <= maxBytes).isTrue();
      }
    }
    assertThat(CudaAttention.splits(limit, 1, 1, heads, width, 0)).isEqualTo(limit / 256);
  }

  /** A few tokens of a short sequence are split as if the limit were its length. */
  @Test
  void theLengthCountsWhereTheLimitIsTooMuch() {
    assertThat(CudaAttention.splits(LIMIT, 4000, 64, 64, 64, 0)).isEqualTo(16);
    assertThat(CudaAttention.splits(LIMIT, LIMIT, 64, 64, 64, 0)).isEqualTo(1); // in a capture
    assertThat(CudaAttention.splits(LIMIT, 4000, 7, 64, 64, 0)).isEqualTo(LIMIT / 256);
    assertThat(CudaAttention.splits(LIMIT, 4000, 512, 64, 64, 128)).isEqualTo(4);
  }

  @Test
  void aLongLimitTakesNoMemoryFromAShortSequence() {
    int numTokens = 64;
    int positions = 300;
    int heads = 8 * KV_HEADS;
    float[] rows = AttentionProblem.gaussian(new Random(1), positions * KV_HEADS * WIDTH);
    float[] query = AttentionProblem.gaussian(new Random(2), numTokens * heads * WIDTH);
    var options = AttentionOptions.causal(0.125f);
    try (var backend = new CudaBackend();
        KvCache cache = cache(backend, LIMIT, rows, positions);
        KvCache shortCache = cache(backend, positions, rows, positions);
        Tensor queries = backend.of(query, numTokens, heads, WIDTH);
        Tensor output = backend.f32(numTokens, heads, WIDTH);
        Tensor expected = backend.f32(numTokens, heads, WIDTH)) {
      long before = backend.usedBytes();
      int first = positions - numTokens;
      Runnable step = () -> Attention.run(backend, queries, cache, 0, first, options, output);
      step.run();
      assertThat(backend.usedBytes() - before)
          .isLessThanOrEqualTo(AttentionLaunch.partsBytes(2L * numTokens * heads, WIDTH));
      Attention.run(backend, queries, shortCache, 0, first, options, expected);
      assertThat(output.toFloatArray()).isEqualTo(expected.toFloatArray());
      output.fill(-1);
      try (var captured = backend.capture(step)) {
        captured.run();
        assertThat(output.toFloatArray()).isEqualTo(expected.toFloatArray());
      }
      assertThat(backend.usedBytes() - before).isLessThan(MIB);
    }
  }

  private static KvCache cache(CudaBackend backend, int limit, float[] rows, int positions) {
    KvCache cache = new KvCache(backend.memory(), DType.F32, 1, KV_HEADS, WIDTH, WIDTH, limit);
    try (Tensor tensor = backend.of(rows, positions, KV_HEADS, WIDTH)) {
      cache.append(backend, 0, cache.keys(), tensor);
      cache.append(backend, 0, cache.values(), tensor);
    }
    cache.advance(positions);
    return cache;
  }
}
