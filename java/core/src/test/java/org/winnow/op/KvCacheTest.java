package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BudgetException;
import org.winnow.ContextLengthException;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.ScarceMemory;
import org.winnow.Tensor;

@ContractTest
public class KvCacheTest {
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void holdsEveryRowWhereverThePagesBreak() {
    int numLayers = 2;
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, numLayers, 3, 5, 4, 300)) {
      float[][] keys = new float[numLayers][];
      float[][] values = new float[numLayers][];
      for (int layer = 0; layer < numLayers; layer++) {
        keys[layer] = AttentionProblem.gaussian(new Random(layer), 300 * 3 * 5);
        values[layer] = AttentionProblem.gaussian(new Random(layer + 9), 300 * 3 * 4);
      }
      for (int step : new int[] {1, 62, 1, 1, 130, 105}) {
        for (int layer = 0; layer < numLayers; layer++)
          append(cache, layer, step, keys[layer], values[layer]);
        cache.advance(step);
      }
      assertThat(cache.length()).isEqualTo(300);
      assertThat(cache.positionCell().getLong(0)).isEqualTo(300);
      for (int layer = 0; layer < numLayers; layer++) {
        float[] page = {};
        for (int position = 0; position < 300; position++) {
          if (position % 64 == 0) page = cache.pages().page(layer, position / 64).toFloatArray();
          int slot = position % 64;
          for (int head = 0; head < 3; head++) {
            for (int c = 0; c < 5; c++) {
              assertThat(page[(int) cache.pages().index(0, head, slot, c)])
                  .isEqualTo(keys[layer][(position * 3 + head) * 5 + c]);
            }
            for (int c = 0; c < 4; c++) {
              assertThat(page[(int) cache.pages().index(1, head, slot, c)])
                  .isEqualTo(values[layer][(position * 3 + head) * 4 + c]);
            }
          }
        }
      }
    }
  }

  @Test
  void pagesThatWereHadBeforeMemoryRanOutAreHandedOverLater() {
    ScarceMemory memory = new ScarceMemory();
    try (KvCache cache = new KvCache(memory.memory(), DType.F32, 2, 1, 4, 4, 300)) {
      long pageBytes = KvCache.PAGE_TOKENS * cache.bytesPerToken();
      memory.bytesLeft = 2 * pageBytes;
      assertThatThrownBy(() -> cache.reserve(4 * KvCache.PAGE_TOKENS))
          .isInstanceOf(BudgetException.class);
      assertThat(cache.sizeBytes()).isEqualTo(2 * pageBytes);
      memory.refusesCopies = true;
      assertThatThrownBy(() -> cache.reserve(1)).hasMessage("copies are refused");
      memory.refusesCopies = false;
      cache.reserve(1);
      for (Tensor table : List.of(cache.pages().table(0), cache.pages().table(1))) {
        for (int entry : new int[] {0, 1, 5, 6}) assertThat(table.getLong(entry)).isNotZero();
      }
    }
    assertThat(memory.usedBytes()).isZero();
  }

  @Test
  void pagesOfOneLayerThatAreMadeTogetherLieSideBySide() {
    try (KvCache cache = new KvCache(backend.memory(), DType.BF16, 2, 3, 4, 6, 300)) {
      cache.reserve(3 * KvCache.PAGE_TOKENS);
      long pageBytes = KvCache.PAGE_TOKENS * cache.bytesPerToken() / 2;
      for (Tensor table : List.of(cache.pages().table(0), cache.pages().table(1))) {
        for (int layer = 0; layer < 2; layer++) {
          long first = table.getLong(layer * 5);
          assertThat(table.getLong(layer * 5 + 1) - first).isEqualTo(pageBytes);
          assertThat(table.getLong(layer * 5 + 2) - first).isEqualTo(2 * pageBytes);
        }
      }
    }
  }

  @Test
  void theLengthStaysWhereAnOperationsPositionCannotBeSet() {
    ScarceMemory memory = new ScarceMemory();
    try (KvCache cache = new KvCache(memory.memory(), DType.F32, 1, 1, 4, 4, 100)) {
      cache.reserve(2);
      cache.advanceCaptured(2);
      memory.refusesCopies = true;
      assertThatThrownBy(() -> cache.advanceCaptured(1)).hasMessage("copies are refused");
      assertThatThrownBy(() -> cache.truncate(1)).hasMessage("copies are refused");
      assertThat(cache.length()).isEqualTo(2);
      memory.refusesCopies = false;
      cache.advanceCaptured(1);
      assertThat(cache.length()).isEqualTo(3);
      assertThat(cache.positionCell().getLong(0)).isEqualTo(3);
    }
  }

  @Test
  void aStepOfLessThanNoTokensIsRefused() {
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, 1, 1, 4, 4, 100)) {
      List<Consumer<Integer>> steps =
          List.of(cache::reserve, cache::advance, cache::advanceCaptured);
      for (Consumer<Integer> step : steps)
        assertThatThrownBy(() -> step.accept(-1))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("numTokens must not be negative, found -1");
      assertThat(cache.length()).isZero();
    }
  }

  @Test
  void latentsAreKeysAndTheirOwnValues() {
    try (KvCache cache = KvCache.ofLatents(backend.memory(), DType.F32, 1, 4, 2, 100);
        Tensor rows = backend.of(AttentionProblem.gaussian(new Random(1), 70 * 6), 70, 1, 6)) {
      float[] latents = rows.toFloatArray();
      cache.append(backend, 0, cache.keys(), rows);
      cache.advance(70);
      assertThat(cache.planes()).containsExactly(cache.values());
      float[] page = cache.pages().page(0, 1).toFloatArray();
      for (int slot = 0; slot < 6; slot++) {
        for (int column = 0; column < 6; column++)
          assertThat(page[slot * 6 + column]).isEqualTo(latents[(64 + slot) * 6 + column]);
      }
      assertThat(cache.sizeBytes()).isEqualTo(2 * 64 * 6 * 4);
      assertThat(cache.bytesPerToken()).isEqualTo(6 * 4);
    }
  }

  @Test
  void aTokenTakesTheBytesOfItsElements() {
    for (DType element : List.of(DType.F32, DType.BF16, DType.F16)) {
      try (KvCache cache = new KvCache(backend.memory(), element, 3, 2, 8, 6, 100)) {
        assertThat(cache.element()).isEqualTo(element);
        assertThat(cache.bytesPerToken()).isEqualTo(3 * 2 * (8 + 6) * element.sizeBytes());
        cache.reserve(1);
        assertThat(cache.sizeBytes()).isEqualTo(64 * cache.bytesPerToken());
      }
    }
  }

  @Test
  void aPlaneIsOneOfTheCache() {
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, 1, 1, 4, 2, 100);
        Tensor rows = backend.f32(1, 1, 4)) {
      KvPlane other = new KvPlane("keys", 1, 4, DType.F16);
      assertThatThrownBy(() -> cache.append(backend, 0, other, rows))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("plane must be one of [KvPlane[name=keys")
          .hasMessageEndingWith("found " + other);
      assertThatThrownBy(() -> cache.append(backend, 0, cache.values(), rows))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("values must be [any, 1, 2], found [1, 1, 4]");
      cache.append(backend, 0, cache.keys(), rows);
      assertThat(cache.written(0)).isZero(); // values are missing
      assertThatThrownBy(() -> cache.advance(1))
          .hasMessage("layer 0 must hold values of 1 positions, found 0");
      assertThatThrownBy(() -> new KvPlane("keys", 1, 4, DType.I8))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("element of keys must be f32, bf16 or f16, found i8");
    }
  }

  @Test
  void allocatesPagesAsTheyAreNeededAndKeepsThemWhenTruncated() {
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, 2, 1, 8, 8, 1000)) {
      long pageBytes = 2 * 64 * 16 * 4;
      assertThat(cache.sizeBytes()).isZero();
      cache.reserve(64);
      assertThat(cache.sizeBytes()).isEqualTo(pageBytes);
      cache.reserve(65);
      assertThat(cache.sizeBytes()).isEqualTo(2 * pageBytes);
      float[] rows = new float[65 * 8];
      append(cache, 0, 65, rows, rows);
      assertThatThrownBy(() -> cache.advance(65))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("layer 1 must hold keys of 65 positions, found 0");
      append(cache, 1, 65, rows, rows);
      cache.advance(65);
      cache.truncate(3);
      assertThat(cache.positionCell().getLong(0)).isEqualTo(3);
      assertThat(cache.length()).isEqualTo(3);
      assertThat(cache.written(1)).isEqualTo(3);
      assertThat(cache.sizeBytes()).isEqualTo(2 * pageBytes);
      assertThatThrownBy(() -> cache.truncate(4))
          .hasMessage("newLength must lie in [0, 3], found 4");
    }
  }

  @Test
  void refusesToPassItsLimitAndStaysAsItWas() {
    try (KvCache cache = new KvCache(backend.memory(), DType.F32, 1, 1, 2, 2, 65)) {
      float[] rows = new float[66 * 2];
      append(cache, 0, 65, rows, rows);
      cache.advance(65);
      assertThatThrownBy(() -> append(cache, 0, 1, rows, rows))
          .isInstanceOfSatisfying(
              ContextLengthException.class,
              e -> {
                assertThat(e).hasMessage("sequence must hold at most 65 tokens, found 66");
                assertThat(e.contextLimit()).isEqualTo(65);
                assertThat(e.requested()).isEqualTo(66);
              });
      assertThat(cache.length()).isEqualTo(65);
      assertThat(cache.written(0)).isEqualTo(65);
    }
  }

  @Test
  void refusesUseAfterClose() {
    KvCache cache = new KvCache(backend.memory(), DType.F32, 1, 1, 2, 2, 65);
    cache.reserve(1);
    cache.close();
    cache.close();
    assertThatThrownBy(() -> cache.reserve(1))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("cache is closed");
    assertThatThrownBy(() -> cache.truncate(0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("cache is closed");
    assertThatThrownBy(() -> new KvCache(backend.memory(), DType.F32, 1, 0, 2, 2, 65))
        .hasMessage("numHeads of keys must be positive, found 0");
  }

  private void append(KvCache cache, int layer, int numTokens, float[] keys, float[] values) {
    int heads = cache.numKvHeads();
    float[] k =
        java.util.Arrays.copyOfRange(
            keys,
            cache.length() * heads * cache.keyWidth(),
            (cache.length() + numTokens) * heads * cache.keyWidth());
    float[] v =
        java.util.Arrays.copyOfRange(
            values,
            cache.length() * heads * cache.valueWidth(),
            (cache.length() + numTokens) * heads * cache.valueWidth());
    try (Tensor keyTensor = backend.of(k, numTokens, heads, cache.keyWidth());
        Tensor valueTensor = backend.of(v, numTokens, heads, cache.valueWidth())) {
      cache.append(backend, layer, cache.keys(), keyTensor);
      cache.append(backend, layer, cache.values(), valueTensor);
    }
  }
}
