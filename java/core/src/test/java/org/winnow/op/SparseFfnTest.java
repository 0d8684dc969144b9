package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;

@ContractTest
public class SparseFfnTest {
  private final Backend backend = BackendsUnderTest.shared();
  private final ActiveColumns columns = new ActiveColumns(backend.memory());

  @AfterEach
  void close() {
    columns.close();
  }

  private static int[][] lists(int numTokens, int numColumns, double density) {
    Random random = new Random(11);
    int[][] lists = new int[numTokens][];
    for (int t = 0; t < numTokens; t++) {
      // the first token has none, if there are more
      double share = t == 0 && numTokens > 1 ? 0 : density;
      lists[t] =
          java.util.stream.IntStream.range(0, numColumns)
              .filter(i -> random.nextDouble() < share)
              .toArray();
    }
    return lists;
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, false, F32, F32, RELU",
    "1, 64, 40, false, F32, F32, RELU",
    "3, 33, 50, true, F32, F32, SILU",
    "5, 100, 64, true, BF16, BF16, RELU",
    "2, 128, 31, false, F32, BF16, GELU_TANH",
    "20, 48, 65, true, F32, F16, NONE",
    "4, 300, 20, false, BF16, F32, RELU",
    "3, 72, 20, true, BF16, F16, SILU",
    "2, 64, 30, false, F32, BF16, RELU_SQUARED",
    "3, 64, 30, true, F32, F32, DRELU",
  })
  void agreesWithDoublePrecision(
      int numTokens,
      int hiddenSize,
      int numColumns,
      boolean gated,
      DType inputType,
      DType weightType,
      Activation activation) {
    for (Variant variant : BackendsUnderTest.variants()) {
      int[][] lists = lists(numTokens, numColumns, 0.3);
      try (SparseFfnProblem p =
          new SparseFfnProblem(
              backend,
              numTokens,
              hiddenSize,
              numColumns,
              gated,
              inputType,
              weightType,
              activation,
              false)) {
        columns.set(numColumns, lists);
        try (Tensor hidden = p.hiddenValues(columns.capacity())) {
          SparseFfn.run(
              variant.backend(), p.input, p.neurons, activation, columns, hidden, p.output);
          for (int t = 0; t < numTokens; t++) p.assertOutput(t, lists[t], null, false);
          float[] values = hidden.toFloatArray();
          for (int t = 0; t < numTokens; t++)
            for (int i = 0; i < lists[t].length; i++)
              assertThat(Math.abs(values[t * columns.capacity() + i] - p.hidden(t, lists[t][i])))
                  .isLessThanOrEqualTo(p.hiddenBound(t, lists[t][i]));
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 64, F32", "3, 64, BF16", "4, 31, F16"})
  void smallIntegersAreExact(int numTokens, int hiddenSize, DType weightType) {
    for (Variant variant : BackendsUnderTest.variants()) {
      int[][] lists = lists(numTokens, 70, 0.5);
      try (SparseFfnProblem p =
          new SparseFfnProblem(
              backend,
              numTokens,
              hiddenSize,
              70,
              false,
              DType.F32,
              weightType,
              Activation.RELU,
              true)) {
        columns.set(70, lists);
        try (Tensor hidden = p.hiddenValues(columns.capacity())) {
          SparseFfn.run(
              variant.backend(), p.input, p.neurons, Activation.RELU, columns, hidden, p.output);
          float[] found = p.output.toFloatArray();
          for (int t = 0; t < numTokens; t++) {
            for (int j = 0; j < hiddenSize; j++) {
              double exact = p.b2[j];
              for (int i : lists[t])
                exact += p.hidden(t, i) * p.weights[(2 * i + 1) * hiddenSize + j];
              assertThat(found[t * hiddenSize + j]).isEqualTo((float) exact);
            }
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"1, false, RELU", "3, true, RELU", "17, true, RELU", "2, false, RELU_SQUARED"})
  void theGateDecidesWithoutLists(int numTokens, boolean gated, Activation activation) {
    for (Variant variant : BackendsUnderTest.variants()) {
      int numColumns = 90;
      try (SparseFfnProblem p =
              new SparseFfnProblem(
                  backend,
                  numTokens,
                  56,
                  numColumns,
                  gated,
                  DType.F32,
                  DType.F32,
                  activation,
                  false);
          Tensor hidden = p.hiddenValues(numColumns)) {
        for (float threshold : new float[] {0, 5}) {
          SparseFfn.runGateFirst(
              variant.backend(), p.input, p.neurons, activation, threshold, hidden, p.output);
          float[] values = hidden.toFloatArray();
          for (int t = 0; t < numTokens; t++) {
            int token = t;
            int[] active =
                java.util.stream.IntStream.range(0, numColumns)
                    .filter(
                        i -> Math.abs(p.activated(p.dot(token, i, 0, false) + p.b1[i])) > threshold)
                    .toArray();
            p.assertOutput(t, active, null, false);
            int[] found =
                java.util.stream.IntStream.range(0, numColumns)
                    .filter(i -> values[token * numColumns + i] != 0)
                    .toArray();
            assertThat(found).isEqualTo(active);
          }
        }
      }
    }
  }

  @Test
  void columnsAreScaledAndThoseLeftOutCountWithTheirMean() {
    int numColumns = 64;
    float[] logits = new float[3 * numColumns];
    Random random = new Random(12);
    for (int i = 0; i < logits.length; i++) logits[i] = (float) random.nextGaussian();
    try (SparseFfnProblem p =
            new SparseFfnProblem(
                backend, 3, 40, numColumns, false, DType.F32, DType.F32, Activation.RELU, false);
        Tensor z = backend.of(logits, 3, numColumns)) {
      columns.choose(backend, z, null, ColumnRule.topKOfBlocks(16, 2).scaledBySoftmax());
      p.neurons.close();
      p.neurons = new NeuronMatrices(p.records, p.gateBias, p.outputBias, p.meanActivation);
      try (Tensor hidden = p.hiddenValues(columns.capacity())) {
        SparseFfn.run(backend, p.input, p.neurons, Activation.RELU, columns, hidden, p.output);
        float[] scales = columns.columnScales().toFloatArray();
        for (int t = 0; t < 3; t++)
          p.assertOutput(
              t,
              columns.columnsOf(t),
              Arrays.copyOfRange(scales, t * columns.capacity(), (t + 1) * columns.capacity()),
              true);
      }
    }
  }

  /** What is not to be read is NaN: it would show. */
  @Test
  void weightsOfOtherColumnsAreNotRead() {
    int[][] lists = lists(4, 60, 0.2);
    boolean[] union = new boolean[60];
    for (int[] list : lists) for (int i : list) union[i] = true;
    try (SparseFfnProblem p =
        new SparseFfnProblem(
            backend, 4, 64, 60, true, DType.F32, DType.BF16, Activation.RELU, false)) {
      columns.set(60, lists);
      try (Tensor hidden = p.hiddenValues(columns.capacity())) {
        SparseFfn.run(backend, p.input, p.neurons, Activation.RELU, columns, hidden, p.output);
        float[] expected = p.output.toFloatArray();
        for (int i = 0; i < 60; i++) if (!union[i]) p.records.slice(i, i + 1L).fill(Float.NaN);
        p.output.fill(Float.NaN);
        SparseFfn.run(backend, p.input, p.neurons, Activation.RELU, columns, hidden, p.output);
        assertThat(p.output.toFloatArray()).isEqualTo(expected);
      }
    }
  }

  @Test
  void aTokensBitsDependNeitherOnTheBatchNorOnThreads() {
    int numTokens = 6;
    int[][] lists = lists(numTokens, 120, 0.4);
    for (DType type : new DType[] {DType.F32, DType.BF16}) {
      try (SparseFfnProblem p =
          new SparseFfnProblem(
              backend, numTokens, 200, 120, true, DType.F32, type, Activation.SILU, false)) {
        for (Variant variant : BackendsUnderTest.variants()) {
          columns.set(120, lists);
          try (Tensor hidden = p.hiddenValues(columns.capacity())) {
            SparseFfn.run(
                variant.backend(), p.input, p.neurons, Activation.SILU, columns, hidden, p.output);
          }
          float[] together = p.output.toFloatArray();
          for (int t = 0; t < numTokens; t++) {
            columns.set(120, lists[t]);
            try (Tensor hidden = backend.f32(1, columns.capacity());
                Tensor alone = backend.f32(1, 200)) {
              SparseFfn.run(
                  variant.backend(),
                  p.input.slice(t, t + 1L),
                  p.neurons,
                  Activation.SILU,
                  columns,
                  hidden,
                  alone);
              assertThat(alone.toFloatArray())
                  .isEqualTo(Arrays.copyOfRange(together, t * 200, (t + 1) * 200));
            }
          }
          columns.set(120, lists);
          for (var opener : variant.sameBits()) {
            try (Backend other = opener.get();
                Tensor hidden = p.hiddenValues(columns.capacity())) {
              p.output.fill(Float.NaN);
              SparseFfn.run(other, p.input, p.neurons, Activation.SILU, columns, hidden, p.output);
              assertThat(p.output.toFloatArray()).isEqualTo(together);
            }
          }
        }
      }
    }
  }

  @Test
  void noTokensAndNoColumnsAreAnswered() {
    try (SparseFfnProblem p =
        new SparseFfnProblem(
            backend, 2, 20, 10, false, DType.F32, DType.F32, Activation.RELU, false)) {
      columns.set(10, new int[0], new int[0]);
      try (Tensor hidden = p.hiddenValues(columns.capacity())) {
        SparseFfn.run(backend, p.input, p.neurons, Activation.RELU, columns, hidden, p.output);
        for (int t = 0; t < 2; t++)
          assertThat(Arrays.copyOfRange(p.output.toFloatArray(), 20 * t, 20 * t + 20))
              .isEqualTo(p.b2);
      }
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (SparseFfnProblem p =
            new SparseFfnProblem(
                backend, 2, 20, 10, false, DType.F32, DType.F32, Activation.RELU, false);
        Tensor hidden = p.hiddenValues(2);
        Tensor wide = backend.f32(2, 21)) {
      columns.set(10, new int[] {1, 2}, new int[] {3});
      assertThatThrownBy(
              () ->
                  SparseFfn.run(
                      backend, wide, p.neurons, Activation.RELU, columns, hidden, p.output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("input must be ");
      assertThatThrownBy(
              () ->
                  SparseFfn.run(
                      backend, p.input, p.neurons, Activation.RELU, columns, wide, p.output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("hiddenValues must be ");
      assertThatThrownBy(
              () ->
                  SparseFfn.run(
                      backend,
                      p.input,
                      p.neurons,
                      Activation.CLAMPED_SWIGLU,
                      columns,
                      hidden,
                      p.output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("activation must be a function of the gate, found CLAMPED_SWIGLU");
      assertThatThrownBy(
              () ->
                  SparseFfn.runGateFirst(
                      backend, p.input, p.neurons, Activation.RELU, -1, hidden, p.output))
          .hasMessage("threshold must not be negative, found -1.0");
      columns.set(11, new int[] {1, 2}, new int[] {3});
      assertThatThrownBy(
              () ->
                  SparseFfn.run(
                      backend, p.input, p.neurons, Activation.RELU, columns, hidden, p.output))
          .hasMessageStartingWith("columns must be of 2 tokens and 10 columns, found ");
      p.records.close();
      columns.set(10, new int[] {1, 2}, new int[] {3});
      assertThatThrownBy(
              () ->
                  SparseFfn.run(
                      backend, p.input, p.neurons, Activation.RELU, columns, hidden, p.output))
          .isInstanceOf(IllegalStateException.class);
    }
  }
}
