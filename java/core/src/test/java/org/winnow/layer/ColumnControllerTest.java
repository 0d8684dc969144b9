package org.winnow.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.Tensor;
import org.winnow.op.ActiveColumns;
import org.winnow.op.ColumnRule;

@ContractTest
public class ColumnControllerTest {
  private final Backend backend = BackendsUnderTest.shared();

  /** Integers, so that logits are exact in any order of summation. */
  @ParameterizedTest
  @CsvSource({"1, 8, 3, 40, false", "5, 33, 12, 64, true", "3, 16, 1, 7, true"})
  void chooses(int numTokens, int hiddenSize, int rank, int numColumns, boolean rectified) {
    Random random = new Random(1);
    float[] x = integers(random, numTokens * hiddenSize);
    float[] a = integers(random, rank * hiddenSize);
    float[] b = integers(random, numColumns * rank);
    float[] c = integers(random, numColumns);
    try (Tensor input = backend.of(x, numTokens, hiddenSize);
        Tensor reduceWeight = backend.of(a, rank, hiddenSize);
        Tensor expandWeight = backend.of(b, numColumns, rank);
        Tensor bias = backend.of(c, numColumns);
        Linear reduce = new Linear(reduceWeight, null);
        Linear expand = new Linear(expandWeight, null);
        ColumnController controller =
            new ColumnController(reduce, expand, rectified, bias, ColumnRule.threshold(2));
        ActiveColumns columns = new ActiveColumns(backend.memory())) {
      controller.choose(backend, input, columns);
      for (int t = 0; t < numTokens; t++) {
        double[] low = new double[rank];
        for (int r = 0; r < rank; r++) {
          for (int k = 0; k < hiddenSize; k++)
            low[r] += x[t * hiddenSize + k] * a[r * hiddenSize + k];
          if (rectified) low[r] = Math.max(low[r], 0);
        }
        int[] expected =
            IntStream.range(0, numColumns)
                .filter(
                    i -> {
                      double logit = c[i];
                      for (int r = 0; r < rank; r++) logit += low[r] * b[i * rank + r];
                      return logit >= 2;
                    })
                .toArray();
        assertThat(columns.columnsOf(t)).isEqualTo(expected);
      }
    }
  }

  @Test
  void refusesMapsThatDoNotFit() {
    try (Tensor reduceWeight = backend.of(new float[6], 2, 3);
        Tensor expandWeight = backend.of(new float[15], 5, 3);
        Tensor fitting = backend.of(new float[10], 5, 2);
        Tensor bias = backend.of(new float[4], 4);
        Linear reduce = new Linear(reduceWeight, null);
        Linear expand = new Linear(expandWeight, null);
        Linear right = new Linear(fitting, null)) {
      assertThatThrownBy(
              () -> new ColumnController(reduce, expand, false, null, ColumnRule.topK(1)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("expand must take 2 elements, found 3");
      assertThatThrownBy(() -> new ColumnController(reduce, right, false, bias, ColumnRule.topK(1)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("bias must be ");
      assertThatThrownBy(
              () -> new ColumnController(reduce, right, false, null, ColumnRule.topKOfBlocks(2, 1)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("logits must have a multiple of 2 columns, found 5");
      ColumnController closed =
          new ColumnController(reduce, right, false, null, ColumnRule.topK(1));
      closed.close();
      try (Tensor input = backend.f32(1, 3);
          ActiveColumns columns = new ActiveColumns(backend.memory())) {
        assertThatThrownBy(() -> closed.choose(backend, input, columns))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("column controller is closed");
      }
    }
  }

  private static float[] integers(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = random.nextInt(5) - 2;
    return values;
  }
}
