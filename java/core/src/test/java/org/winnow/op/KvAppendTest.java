package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;

@ContractTest
public class KvAppendTest {
  private static final int HEADS = 3;
  private static final int BEFORE = 60;
  private static final int TOKENS = 70; // over two page edges
  private static final float KEPT = 7; // what the pages hold before

  private final Backend backend = BackendsUnderTest.shared();

  /** Element, and widths with and without whole vectors and pairs. */
  static Stream<Arguments> problems() {
    return Stream.of(DType.F32, DType.BF16, DType.F16)
        .flatMap(
            element ->
                Stream.of(1, 4, 7, 8, 130)
                    .flatMap(
                        width ->
                            Stream.of(true, false)
                                .map(latent -> Arguments.of(element, width, latent))));
  }

  @ParameterizedTest
  @MethodSource("problems")
  void writesOnlyTheRowsOfTheNewTokens(DType element, int width, boolean latent) {
    TensorMemory memory = backend.memory();
    if (latent) {
      requireOnlyNewRows(KvCache.ofLatents(memory, element, 2, width, 1, 200), false);
    } else {
      requireOnlyNewRows(new KvCache(memory, element, 2, HEADS, width, width, 200), false);
      for (int valueWidth : new int[] {width, width + 1}) // the same kernel, and another
      requireOnlyNewRows(new KvCache(memory, element, 2, HEADS, width, valueWidth, 200), true);
    }
  }

  private void requireOnlyNewRows(KvCache opened, boolean together) {
    try (KvCache cache = opened) {
      int most = cache.planes().stream().mapToInt(p -> p.numHeads() * p.width()).max().getAsInt();
      float[] source = values(TOKENS * most);
      cache.reserve(200);
      for (int layer = 0; layer < 2; layer++)
        for (int page = 0; page < 4; page++) cache.pages().page(layer, page).fill(KEPT);
      cache.advanceCaptured(BEFORE);
      if (together) {
        try (Tensor keys = rows(source, cache.keys());
            Tensor values = rows(source, cache.values())) {
          cache.append(backend, 1, keys, values);
        }
      } else {
        for (KvPlane plane : cache.planes()) {
          try (Tensor rows = rows(source, plane)) {
            cache.append(backend, 1, plane, rows);
          }
        }
      }
      for (int layer = 0; layer < 2; layer++) {
        float[][] pages = new float[4][];
        for (int page = 0; page < 4; page++)
          pages[page] = cache.pages().page(layer, page).toFloatArray();
        for (int plane = 0; plane < cache.planes().size(); plane++)
          check(cache, plane, layer, source, pages);
      }
    }
  }

  private Tensor rows(float[] source, KvPlane plane) {
    int size = TOKENS * plane.numHeads() * plane.width();
    return backend.of(Arrays.copyOf(source, size), TOKENS, plane.numHeads(), plane.width());
  }

  private void check(KvCache cache, int plane, int layer, float[] source, float[][] pages) {
    KvPlane rows = cache.planes().get(plane);
    for (int position = 0; position < 4 * KvCache.PAGE_TOKENS; position++) {
      int token = position - BEFORE;
      boolean written = layer == 1 && token >= 0 && token < TOKENS;
      for (int head = 0; head < rows.numHeads(); head++) {
        for (int c = 0; c < rows.width(); c++) {
          long at = cache.pages().index(plane, head, position % 64, c);
          float from = written ? source[(token * rows.numHeads() + head) * rows.width() + c] : KEPT;
          Float expected = AttentionProblem.rounded(from, rows.element());
          Float found = pages[position / 64][(int) at];
          if (!found.equals(expected)) // a comparison by assertThat takes a microsecond
          fail("%s %d, %d, %d: %s not %s", rows.name(), position, head, c, found, expected);
        }
      }
    }
  }

  /** Normal values, and those at which rounding has its edges. */
  private static float[] values(int size) {
    float[] values = AttentionProblem.gaussian(new Random(1), size);
    float[] edges = {
      0f,
      -0f,
      1.00390625f,
      1.01171875f,
      1 + 0x1p-11f,
      1 + 3 * 0x1p-11f,
      65504,
      65519,
      65520,
      -1e6f,
      0x1p-14f,
      0x1.ffcp-15f,
      0x1p-24f,
      0x1p-25f,
      0x1.1p-25f,
      -0x1p-26f,
      0x1p-126f,
      0x1p-133f,
      0x1p-134f,
      0x1.8p-133f,
      Float.MIN_VALUE,
      Float.MAX_VALUE,
      0x1.fep127f,
      0x1.fefp127f,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      Float.NaN,
      Float.intBitsToFloat(0xff800001)
    };
    for (int i = 0; i < edges.length && 2 * i < size; i++) values[2 * i] = edges[i];
    return values;
  }

  @Test
  void namesWhatCannotBeAppendedTogether() {
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, 1, 2, 4, 3, 64);
        KvCache latents = KvCache.ofLatents(backend.memory(), DType.F32, 1, 3, 1, 64);
        Tensor keys = backend.f32(5, 2, 4);
        Tensor values = backend.f32(5, 2, 3);
        Tensor fewer = backend.f32(4, 2, 3)) {
      assertThatThrownBy(() -> cache.append(backend, 0, keys, fewer))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("values must be [5, 2, 3], found [4, 2, 3]");
      assertThatThrownBy(() -> cache.append(backend, 0, values, keys))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("keys must be [any, 2, 4], found [5, 2, 3]");
      assertThatThrownBy(() -> latents.append(backend, 0, keys, values))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("cache must hold keys and values, found latents");
      assertThat(cache.written(0)).isZero();
      cache.append(backend, 0, keys, values);
      assertThat(cache.written(0)).isEqualTo(5);
    }
  }

  /** Both backends write the NaN of the contract, whatever a NaN's bits are. */
  @Test
  void nanHasOnePattern() {
    for (DType element : new DType[] {DType.BF16, DType.F16}) {
      float[] source = new float[4];
      for (int i = 0; i < 4; i++)
        source[i] =
            Float.intBitsToFloat(new int[] {0x7fc00000, 0xff800001, 0x7f812345, 0xffffffff}[i]);
      try (KvCache cache = new KvCache(backend.memory(), element, 1, 1, 4, 4, 64);
          Tensor rows = backend.of(source, 1, 1, 4)) {
        cache.append(backend, 0, cache.values(), rows);
        Tensor page = cache.pages().page(0, 0);
        for (int c = 0; c < 4; c++)
          assertThat(bits(page, cache.pages().index(1, 0, 0, c))).isEqualTo(0x7fff);
      }
    }
  }

  private static int bits(Tensor page, long index) {
    try (Tensor host = Tensor.allocate(page.dtype(), page.size())) {
      host.copyFrom(page.reshape(page.size()));
      return Internals.bytes(host).getShort((int) (2 * index)) & 0xffff;
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, 1, HEADS, 4, 2, 100);
        Tensor source = backend.f32(10, HEADS, 4)) {
      assertThatThrownBy(() -> KvAppend.run(backend, source, cache, 0, 0, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("numTokens must lie in [0, 0], the room reserved, found 10");
      cache.reserve(10);
      KvAppend.run(backend, source, cache, 0, 0, 0);
      assertThatThrownBy(() -> KvAppend.run(backend, source, cache, 0, 0, 60))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("numTokens must lie in [0, 4], the room reserved, found 10");
      source.close();
      assertThatThrownBy(() -> KvAppend.run(backend, source, cache, 0, 0, 0))
          .isInstanceOf(IllegalStateException.class);
    }
  }
}
