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
  private static final double U = 0x1p-24;

  private final Backend backend = BackendsUnderTest.shared();
  private final ActiveColumns columns = new ActiveColumns(backend.memory());

  @AfterEach
  void close() {
    columns.close();
  }

  /** Weights and inputs of a block, and its exact results, one token and one column at a time. */
  private final class Problem implements AutoCloseable {
    final int numTokens;
    final int hiddenSize;
    final int numColumns;
    final boolean gated;
    final Activation activation;
    final float[] x;
    final float[] weights;
    final float[] b1;
    final float[] b2;
    final float[] mean;
    final Tensor input;
    final Tensor records;
    final Tensor gateBias;
    final Tensor outputBias;
    final Tensor meanActivation;
    final Tensor output;
    NeuronMatrices neurons;

    Problem(
        int numTokens,
        int hiddenSize,
        int numColumns,
        boolean gated,
        DType inputType,
        DType weightType,
        Activation activation,
        boolean integers) {
      this.numTokens = numTokens;
      this.hiddenSize = hiddenSize;
      this.numColumns = numColumns;
      this.gated = gated;
      this.activation = activation;
      Random random = new Random(7);
      int rows = gated ? 3 : 2;
      input = tensor(random, integers, inputType, numTokens, hiddenSize);
      records = tensor(random, integers, weightType, numColumns, rows, hiddenSize);
      gateBias = tensor(random, integers, DType.F32, numColumns);
      outputBias = tensor(random, integers, DType.F32, hiddenSize);
      meanActivation = tensor(random, integers, DType.F32, numColumns);
      x = input.toFloatArray();
      weights = records.toFloatArray();
      b1 = gateBias.toFloatArray();
      b2 = outputBias.toFloatArray();
      mean = meanActivation.toFloatArray();
      output = backend.f32(numTokens, hiddenSize);
      output.fill(Float.NaN);
      neurons = new NeuronMatrices(records, gateBias, outputBias, null);
    }

    private Tensor tensor(Random random, boolean integers, DType type, long... shape) {
      long size = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
      float[] values = new float[(int) size];
      for (int i = 0; i < size; i++)
        values[i] = integers ? random.nextInt(5) - 2 : (float) random.nextGaussian();
      try (Tensor host = Tensor.of(values, shape)) {
        Tensor tensor = backend.allocate(type, shape);
        try (Tensor rounded = Tensor.allocate(type, shape)) {
          for (int i = 0; i < size; i++) rounded.setFloat(i, values[i]);
          tensor.copyFrom(rounded);
        }
        return tensor;
      }
    }

    double dot(int token, int column, int row, boolean magnitudes) {
      int rows = gated ? 3 : 2;
      double sum = 0;
      for (int k = hiddenSize - 1; k >= 0; k--) {
        double term =
            (double) x[token * hiddenSize + k] * weights[(column * rows + row) * hiddenSize + k];
        sum += magnitudes ? Math.abs(term) : term;
      }
      return sum;
    }

    double activated(double gate) {
      return switch (activation) {
        case NONE -> gate;
        case RELU, DRELU -> Math.max(gate, 0);
        case RELU_SQUARED -> Math.max(gate, 0) * Math.max(gate, 0);
        case SILU -> gate / (1 + Math.exp(-gate));
        case GELU_TANH ->
            0.5
                * gate
                * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (gate + 0.044715 * gate * gate * gate)));
        default -> throw new AssertionError(activation);
      };
    }

    double hidden(int token, int column) {
      double value = activated(dot(token, column, 0, false) + b1[column]);
      if (!gated) return value;
      double up = dot(token, column, 1, false);
      return value * (activation == Activation.DRELU ? Math.max(up, 0) : up);
    }

    /**
     * What f32 may change: the sums of the gate and the up value, an activation of slope below 1.2
     * within a few ulp, their product.
     */
    double hiddenBound(int token, int column) {
      double gateMagnitude = dot(token, column, 0, true) + Math.abs(b1[column]);
      double gateBound = 1.2 * (hiddenSize + 8) * U * gateMagnitude + 16 * U * gateMagnitude;
      if (activation == Activation.RELU_SQUARED) {
        double gate = Math.abs(dot(token, column, 0, false) + b1[column]);
        gateBound = gateBound * (2 * gate + gateBound) + U * gate * gate;
      }
      if (!gated) return gateBound;
      double value = Math.abs(activated(dot(token, column, 0, false) + b1[column]));
      double up = dot(token, column, 1, true);
      return gateBound * up + (hiddenSize + 8) * U * up * (value + gateBound);
    }

    void assertOutput(int token, int[] active, float[] scales, boolean compensated) {
      float[] found = output.toFloatArray();
      int rows = gated ? 3 : 2;
      for (int j = 0; j < hiddenSize; j++) {
        double exact = b2[j];
        double magnitude = Math.abs(b2[j]);
        double bound = 0;
        int p = 0;
        for (int i = 0; i < numColumns; i++) {
          double w = weights[(i * rows + rows - 1) * hiddenSize + j];
          boolean isActive = p < active.length && active[p] == i;
          double mean = compensated ? this.mean[i] : 0;
          if (isActive) {
            double scale = scales == null ? 1 : scales[p];
            double h = scale * hidden(token, i);
            exact += h * w;
            bound += Math.abs(w) * (Math.abs(scale) * hiddenBound(token, i) + 2 * U * Math.abs(h));
            magnitude += Math.abs(w) * (Math.abs(h) + 3 * Math.abs(mean));
            p++;
          } else {
            exact += mean * w;
            magnitude += Math.abs(w * mean);
          }
        }
        bound += (active.length + 4) * U * magnitude;
        assertThat(Math.abs(found[token * hiddenSize + j] - exact))
            .as("token %d, output %d", token, j)
            .isLessThanOrEqualTo(bound);
      }
    }

    Tensor hiddenValues(long capacity) {
      Tensor values = backend.f32(numTokens, capacity);
      values.fill(Float.NaN);
      return values;
    }

    @Override
    public void close() {
      neurons.close();
      for (Tensor t : new Tensor[] {input, records, gateBias, outputBias, meanActivation, output})
        t.close();
    }
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
      try (Problem p =
          new Problem(
              numTokens, hiddenSize, numColumns, gated, inputType, weightType, activation, false)) {
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
      try (Problem p =
          new Problem(
              numTokens, hiddenSize, 70, false, DType.F32, weightType, Activation.RELU, true)) {
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
      try (Problem p =
              new Problem(
                  numTokens, 56, numColumns, gated, DType.F32, DType.F32, activation, false);
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
    try (Problem p =
            new Problem(3, 40, numColumns, false, DType.F32, DType.F32, Activation.RELU, false);
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
    try (Problem p = new Problem(4, 64, 60, true, DType.F32, DType.BF16, Activation.RELU, false)) {
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
      try (Problem p =
          new Problem(numTokens, 200, 120, true, DType.F32, type, Activation.SILU, false)) {
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
    try (Problem p = new Problem(2, 20, 10, false, DType.F32, DType.F32, Activation.RELU, false)) {
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
    try (Problem p = new Problem(2, 20, 10, false, DType.F32, DType.F32, Activation.RELU, false);
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
