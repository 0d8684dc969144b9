package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;

@ContractTest
public class KvAppendTest {
  private static final int HEADS = 3;

  private final Backend backend = BackendsUnderTest.shared();

  /** Widths with and without whole 16-byte pieces, a source that begins at any element. */
  @ParameterizedTest
  @CsvSource({"8, 4, 4, 0", "8, 0, 8, 4", "7, 2, 3, 1", "200, 0, 200, 0", "200, 13, 130, 3"})
  void writesOnlyTheColumnsOfTheNewTokens(int rowWidth, int column, int width, int offset) {
    int before = 60;
    int numTokens = 70; // over two page edges
    int stride = HEADS * width + 5;
    float[] source = AttentionProblem.gaussian(new Random(1), offset + numTokens * stride);
    for (boolean values : new boolean[] {false, true}) {
      try (KvCache cache = new KvCache(backend.memory(), 2, HEADS, rowWidth, rowWidth, 200);
          Tensor zeros = backend.f32(before, HEADS, rowWidth);
          Tensor from = backend.of(source, source.length)) {
        for (int layer = 0; layer < 2; layer++) cache.append(backend, layer, zeros, zeros);
        cache.advance(before);
        cache.reserve(numTokens);
        KvAppend.run(
            backend, from, offset, stride, width, cache, 1, values, before, column, width,
            numTokens);
        int keys = 64 * HEADS * rowWidth;
        float[] expected = new float[3 * 2 * 2 * keys]; // page, layer, keys then values
        for (int t = 0; t < numTokens; t++) {
          int position = before + t;
          for (int h = 0; h < HEADS; h++) {
            int row =
                ((position / 64 * 2 + 1) * 2 + (values ? 1 : 0)) * keys
                    + (h * 64 + position % 64) * rowWidth;
            System.arraycopy(
                source, offset + t * stride + h * width, expected, row + column, width);
          }
        }
        for (int page = 0; page < 3; page++) {
          assertThat(cache.pages().page(page).toFloatArray())
              .as("page %d", page)
              .isEqualTo(Arrays.copyOfRange(expected, page * 4 * keys, (page + 1) * 4 * keys));
        }
      }
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    try (KvCache cache = new KvCache(backend.memory(), 1, HEADS, 4, 2, 100);
        Tensor source = backend.f32(10, HEADS, 4)) {
      assertThatThrownBy(() -> append(source, cache, false, 0, 4, 10))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("numTokens must lie in [0, 0], the room reserved, found 10");
      cache.reserve(10);
      append(source, cache, false, 0, 4, 10);
      assertThatThrownBy(() -> append(source, cache, true, 0, 3, 10))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("columns must lie in [0, 2), found [0, 3)");
      assertThatThrownBy(() -> append(source, cache, false, -1, 3, 10))
          .hasMessage("columns must lie in [0, 4), found [-1, 2)");
      assertThatThrownBy(() -> append(source, cache, false, 0, 4, 11))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("block must end inside source of 120 elements, found 132");
      assertThatThrownBy(
              () -> KvAppend.run(backend, source, 0, 12, 4, cache, 0, false, 60, 0, 4, 5))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("numTokens must lie in [0, 4], the room reserved, found 5");
      source.close();
      assertThatThrownBy(() -> append(source, cache, false, 0, 4, 10))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  private void append(
      Tensor source, KvCache cache, boolean values, int column, int width, int numTokens) {
    KvAppend.run(backend, source, 0, HEADS * 4, 4, cache, 0, values, 0, column, width, numTokens);
  }
}
