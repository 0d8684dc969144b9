package org.winnow.op;

import java.util.Random;
import java.util.function.DoubleSupplier;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;

/** Inputs of a multiplicative layer, and the exact value of one element. */
public final class MultiplicativeLayerProblem implements AutoCloseable {
  /** An element in double precision, and the sum of the magnitudes of its terms. */
  public record Exact(double value, double magnitude) {}

  private final Backend backend;
  private final int inputSize;
  private final int numModules;
  private final int moduleSize;
  private final Tensor input;
  private final Tensor moduleWeights;
  private final Tensor columnWeights;
  private final Tensor bias;
  private final Tensor output;
  private final float[] inputs;
  private final float[] modules;
  private final float[] columns;
  private final float[] biases;

  private MultiplicativeLayerProblem(
      Backend backend,
      DType inputType,
      DType weightType,
      DoubleSupplier values,
      int numTokens,
      int inputSize,
      int numModules,
      int moduleSize) {
    this.backend = backend;
    this.inputSize = inputSize;
    this.numModules = numModules;
    this.moduleSize = moduleSize;
    input = filled(inputType, values, numTokens, inputSize);
    moduleWeights = filled(weightType, values, inputSize, numModules);
    columnWeights = filled(weightType, values, inputSize, moduleSize);
    bias = filled(DType.F32, values, numModules, moduleSize);
    output = backend.f32(numTokens, (long) numModules * moduleSize);
    inputs = input.toFloatArray();
    modules = moduleWeights.toFloatArray();
    columns = columnWeights.toFloatArray();
    biases = bias.toFloatArray();
  }

  /** Integers in [-2, 2]: while inputSize is below 2^20, sums in any order are exact. */
  public static MultiplicativeLayerProblem smallIntegers(
      Backend backend,
      DType inputType,
      DType weightType,
      int numTokens,
      int inputSize,
      int numModules,
      int moduleSize) {
    Random random = new Random(42);
    return new MultiplicativeLayerProblem(
        backend,
        inputType,
        weightType,
        () -> random.nextInt(5) - 2,
        numTokens,
        inputSize,
        numModules,
        moduleSize);
  }

  /** Normal numbers, rounded to the types first. */
  public static MultiplicativeLayerProblem reals(
      Backend backend,
      DType inputType,
      DType weightType,
      int numTokens,
      int inputSize,
      int numModules,
      int moduleSize) {
    Random random = new Random(43);
    return new MultiplicativeLayerProblem(
        backend,
        inputType,
        weightType,
        random::nextGaussian,
        numTokens,
        inputSize,
        numModules,
        moduleSize);
  }

  private Tensor filled(DType type, DoubleSupplier values, long rows, long width) {
    float[] drawn = new float[Math.toIntExact(rows * width)];
    for (int i = 0; i < drawn.length; i++) drawn[i] = (float) values.getAsDouble();
    return backend.allocate(type, rows, width).copyFrom(drawn);
  }

  public Tensor input() {
    return input;
  }

  public Tensor moduleWeights() {
    return moduleWeights;
  }

  public Tensor columnWeights() {
    return columnWeights;
  }

  public Tensor bias() {
    return bias;
  }

  public Tensor output() {
    return output;
  }

  public float[] run() {
    output.fill(Float.NaN); // an element that is forgotten stays NaN
    MultiplicativeLayer.run(backend, input, moduleWeights, columnWeights, bias, output);
    return output.toFloatArray();
  }

  /** By the dense matrix of one element, last input first. */
  public Exact exact(int token, int element) {
    int module = element / moduleSize;
    int column = element % moduleSize;
    double sum = 0;
    double magnitude = 0;
    for (int i = inputSize - 1; i >= 0; i--) {
      double dense = (double) modules[i * numModules + module] * columns[i * moduleSize + column];
      double term = inputs[token * inputSize + i] * dense;
      sum += term;
      magnitude += Math.abs(term);
    }
    float shift = biases[element];
    return new Exact(sum + shift, magnitude + Math.abs(shift));
  }

  /** How far f32 sums in any order may be from the exact value: a rounding per term and four. */
  public double bound(Exact exact) {
    return (inputSize + 4) * 0x1p-24 * exact.magnitude;
  }

  @Override
  public void close() {
    input.close();
    moduleWeights.close();
    columnWeights.close();
    bias.close();
    output.close();
  }
}
