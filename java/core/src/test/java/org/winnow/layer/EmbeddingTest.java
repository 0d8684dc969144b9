package org.winnow.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.attention.AttentionProblem;
import org.winnow.cpu.CpuBackend;

class EmbeddingTest {
  private static final int VOCABULARY = 50;

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void copiesTheRowsThatAreAskedFor(DType type) {
    for (int width : new int[] {1, 7, 64, 17_000}) {
      int[] ids = {49, 0, 3, 3, 17};
      try (var backend = new CpuBackend();
          Tensor table = Tensor.allocate(type, VOCABULARY, width);
          Tensor tokenIds = Tensor.of(ids, 5);
          Tensor output = Tensor.f32(5, width)) {
        table
            .slice(0, 4)
            .reshape(4L * width)
            .copyFrom(AttentionProblem.gaussian(new Random(1), 4 * width));
        table
            .slice(49, 50)
            .reshape(width)
            .copyFrom(AttentionProblem.gaussian(new Random(2), width));
        table.setFloat(3L * width, 0x1p-20f); // subnormal in f16
        table.setFloat(0, Float.NEGATIVE_INFINITY);
        output.fill(Float.NaN);
        Embedding.run(backend, table, tokenIds, output);
        for (int t = 0; t < ids.length; t++) {
          for (int i = 0; i < width; i += 1 + width / 100) {
            assertThat(output.getFloat((long) t * width + i))
                .isEqualTo(table.getFloat((long) ids[t] * width + i));
          }
        }
      }
    }
  }

  @Test
  void refusesTokensOutsideTheTableBeforeItWrites() {
    try (var backend = new CpuBackend();
        Tensor table = Tensor.f32(VOCABULARY, 4);
        Tensor tokenIds = Tensor.of(new int[] {3, 50, -1}, 3);
        Tensor output = Tensor.f32(3, 4)) {
      output.fill(7);
      assertThatThrownBy(() -> Embedding.run(backend, table, tokenIds, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("tokenIds must lie in [0, 50), found 50 at index 1");
      assertThat(output.toFloatArray()).containsOnly(7);
      tokenIds.setInt(1, 0);
      assertThatThrownBy(() -> Embedding.run(backend, table, tokenIds, output))
          .hasMessage("tokenIds must lie in [0, 50), found -1 at index 2");
      assertThatThrownBy(() -> Embedding.run(backend, table, tokenIds, table))
          .hasMessage("output must be [3, 4], found [50, 4]");
      assertThatThrownBy(() -> Embedding.run(backend, table, tokenIds, table.slice(0, 3)))
          .hasMessage("output must not overlap table");
    }
  }
}
