package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;

/** Weights and inputs of a block, and its exact results, one token and one column at a time. */
final class SparseFfnProblem implements AutoCloseable {
  private static final double U = 0x1p-24;

  private final Backend backend;
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

  SparseFfnProblem(
      Backend backend,
      int numTokens,
      int hiddenSize,
      int numColumns,
      boolean gated,
      DType inputType,
      DType weightType,
      Activation activation,
      boolean integers) {
    this.backend = backend;
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
