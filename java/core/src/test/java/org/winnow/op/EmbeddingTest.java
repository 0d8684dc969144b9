package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;

@ContractTest
public class EmbeddingTest {
  private final Backend backend = BackendsUnderTest.shared();

  private static final int VOCABULARY = 50;

  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16", "F16"})
  void copiesTheRowsThatAreAskedFor(DType type) {
    for (int width :
        BackendsUnderTest.sized(new int[] {1, 7, 64, 1_000}, new int[] {1, 7, 64, 17_000})) {
      int[] ids = {49, 0, 3, 3, 17};
      try (Tensor table = backend.allocate(type, VOCABULARY, width);
          Tensor tokenIds = backend.of(ids, 5);
          Tensor output = backend.f32(5, width)) {
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
        float[] rows = table.toFloatArray();
        float[] found = output.toFloatArray();
        for (int t = 0; t < ids.length; t++) {
          for (int i = 0; i < width; i += 1 + width / 100) {
            assertThat(found[t * width + i]).isEqualTo(rows[ids[t] * width + i]);
          }
        }
      }
    }
  }

  @Test
  void refusesTokensOutsideTheTableBeforeItWrites() {
    try (Tensor table = backend.f32(VOCABULARY, 4);
        Tensor tokenIds = backend.of(new int[] {3, 50, -1}, 3);
        Tensor output = backend.f32(3, 4)) {
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
