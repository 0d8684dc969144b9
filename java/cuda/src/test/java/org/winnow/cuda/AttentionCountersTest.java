package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.AttentionProblem;
import org.winnow.op.DeviceTables;
import org.winnow.op.KvCache;

/**
 * What attention reads, counted: the keys and values that a token sees, once per group of heads and
 * tile of rows.
 */
@OnStandInOnly
class AttentionCountersTest {
  private static final int KV_HEADS = 2;
  private static final int WIDTH = 64;

  private final CudaBackend backend = new CudaBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  /** Element, tokens, positions, window, query heads: one form and the splits of a long context. */
  @ParameterizedTest
  @CsvSource({
    "F32, 1, 700, 100, 8",
    "F32, 1, 700, 0, 8",
    "F32, 1, 65, 0, 2",
    "F32, 2, 330, 70, 16",
    "F32, 5, 128, 64, 32",
    "BF16, 1, 700, 100, 8",
    "BF16, 5, 128, 64, 32",
    "F16, 1, 700, 0, 8"
  })
  void readsWhatTheTokensSeeAndNothingElse(
      DType element, int numTokens, int positions, int window, int heads) {
    int rowBytes = WIDTH * element.sizeBytes();
    int pageBytes = KvCache.PAGE_TOKENS * KV_HEADS * rowBytes;
    try (KvCache cache = filled(element, positions, WIDTH)) {
      GpuReport report = attend(cache, numTokens, window, heads);
      int first = window == 0 ? 0 : Math.max(0, positions - numTokens - window + 1);
      for (int page = 0; page * KvCache.PAGE_TOKENS < positions; page++) {
        int begin = Math.max(first, page * KvCache.PAGE_TOKENS);
        int end = Math.min(positions, (page + 1) * KvCache.PAGE_TOKENS);
        long seen = (long) Math.max(0, end - begin) * KV_HEADS * rowBytes;
        assertThat(GpuSim.distinctBytesRead(DeviceTables.keyPage(cache, page), pageBytes))
            .as("keys of page %d", page)
            .isEqualTo(seen);
        assertThat(GpuSim.distinctBytesRead(DeviceTables.valuePage(cache, page), pageBytes))
            .as("values of page %d", page)
            .isEqualTo(seen);
      }
      assertThat(report.launches()).isNotEmpty();
    }
  }

  static List<AttentionLaunch.Variant> forms() {
    return AttentionLaunch.KERNELS;
  }

  /**
   * Every form, in whole sectors and without bank conflicts: a tile of rows requests the keys and
   * values that its last row sees, once. The largest forms of their kind take two tiles here.
   */
  @ParameterizedTest
  @MethodSource("forms")
  void readsKeysAndValuesOncePerGroupAndTile(AttentionLaunch.Variant form) {
    int positions = 640;
    int rowsPerTile = form.rowLanes() * form.rowsPerLane();
    DType element = DType.values()[form.element()];
    boolean isWide = form.columnBlocks() > forms().get(0).columnBlocks();
    boolean isLargest =
        forms().stream()
            .filter(other -> other.element() == form.element())
            .filter(other -> other.columnBlocks() == form.columnBlocks())
            .allMatch(other -> other.rowLanes() * other.rowsPerLane() <= rowsPerTile);
    int rows = isLargest ? rowsPerTile + rowsPerTile / 2 : rowsPerTile;
    int groupSize = Math.min(8, rows);
    int numTokens = rows / groupSize;
    int heads = KV_HEADS * groupSize;
    int width = isWide ? 192 : 64;
    long expected = 0;
    for (int end = rowsPerTile; end < rows + rowsPerTile; end += rowsPerTile) {
      int lastToken = (Math.min(end, rows) - 1) / groupSize;
      expected +=
          2L * (positions - numTokens + lastToken + 1) * KV_HEADS * width * element.sizeBytes();
    }
    try (KvCache cache = filled(element, positions, width)) {
      GpuReport report = attend(cache, numTokens, 0, heads);
      assertThat(report.launches().get(0).kernel()).isEqualTo(form.name());
      long bytes = 0;
      long sectors = 0;
      for (int page = 0; page * KvCache.PAGE_TOKENS < positions; page++) {
        for (GpuReport.Launch launch : report.launches()) {
          var traffic = launch.traffic(DeviceTables.keyPage(cache, page)); // keys, then values
          if (traffic == null) continue;
          bytes += (long) traffic.get("load_bytes");
          sectors += (long) traffic.get("load_sectors");
        }
      }
      assertThat(bytes).isEqualTo(expected);
      assertThat(sectors * 32).isEqualTo(bytes);
      assertThat(report.total("attention", "shared_wavefronts"))
          .isEqualTo(report.total("attention", "shared_ideal_wavefronts"));
    }
  }

  private KvCache filled(DType element, int positions, int width) {
    KvCache cache =
        new KvCache(backend.memory(), element, 1, KV_HEADS, width, width, positions + 100);
    float[] rows = AttentionProblem.gaussian(new Random(3), positions * KV_HEADS * width);
    try (Tensor tensor = backend.of(rows, positions, KV_HEADS, width)) {
      cache.append(backend, 0, cache.keys(), tensor);
      cache.append(backend, 0, cache.values(), tensor);
    }
    return cache;
  }

  private GpuReport attend(KvCache cache, int numTokens, int window, int heads) {
    int width = cache.keyWidth();
    float[] query = AttentionProblem.gaussian(new Random(4), numTokens * heads * width);
    try (Tensor q = backend.of(query, numTokens, heads, width);
        Tensor output = backend.f32(numTokens, heads, width)) {
      output.toFloatArray(); // what was issued before has ended
      GpuReport.take();
      GpuSim.resetTouched();
      Attention.run(
          backend,
          q,
          cache,
          0,
          cache.written(0) - numTokens,
          new AttentionOptions(0.125f, window, null),
          output);
      output.toFloatArray();
      return GpuReport.take();
    }
  }
}
