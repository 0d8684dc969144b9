package org.winnow.op;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;

/** Inputs of a grouped GEMM and the exact answer for one element. Each row reads a random token. */
public final class GroupedGemmProblem implements AutoCloseable {
  private static final double U = 0x1p-24; // half an ulp of f32, relative

  /** The types and the form of a problem. */
  public record Form(
      DType inputType,
      DType productType,
      WeightFormat weightFormat,
      DType outputType,
      boolean gated,
      boolean biased,
      Activation activation,
      WeightLayout layout) {
    /** With weights in rows. */
    public Form(
        DType inputType,
        DType productType,
        WeightFormat weightFormat,
        DType outputType,
        boolean gated,
        boolean biased,
        Activation activation) {
      this(
          inputType,
          productType,
          weightFormat,
          outputType,
          gated,
          biased,
          activation,
          WeightLayout.ROWS);
    }

    /** The same, with weights in that layout. */
    public Form in(WeightLayout other) {
      return new Form(
          inputType, productType, weightFormat, outputType, gated, biased, activation, other);
    }

    /** f32 throughout, a plain product. */
    public static Form plain() {
      return new Form(
          DType.F32, DType.F32, WeightFormat.F32, DType.F32, false, false, Activation.NONE);
    }
  }

  /** The answer in double precision and how far f32 arithmetic may be from it. */
  public record Exact(double value, double bound) {}

  private final Backend backend;
  private final Form form;
  private final int[] rowsPerExpert;
  private final int[] source; // the token of each row
  private final int inputSize;
  private final int outputSize;
  private final Tensor input;
  private final Tensor sourceRows;
  private final Tensor expertOffsets;
  private final Tensor activeExperts;
  private final Tensor output;
  private final ExpertMatrices weights;
  private final List<Matrix> matrices = new ArrayList<>();
  private final List<Tensor> biases = new ArrayList<>();
  private final float[] inputValues; // what input held at first, as it is multiplied
  private final List<float[][]> expertValues = new ArrayList<>();

  private interface Values {
    float next();
  }

  private GroupedGemmProblem(
      Backend backend,
      Form form,
      Random random,
      Values values,
      int[] rowsPerExpert,
      int inputSize,
      int outputSize) {
    this.backend = backend;
    this.form = form;
    this.rowsPerExpert = rowsPerExpert.clone();
    this.inputSize = inputSize;
    this.outputSize = outputSize;
    int numRows = 0;
    int numActive = 0;
    int[] offsets = new int[rowsPerExpert.length + 1];
    int[] active = new int[rowsPerExpert.length];
    for (int e = 0; e < rowsPerExpert.length; e++) {
      numRows += rowsPerExpert[e];
      offsets[e + 1] = numRows;
      if (rowsPerExpert[e] > 0) active[numActive++] = e;
    }
    int numTokens = Math.max(1, numRows / 2 + 1);
    source = new int[numRows];
    for (int r = 0; r < numRows; r++) source[r] = random.nextInt(numTokens);
    this.input = fill(backend.allocate(form.inputType, numTokens, inputSize), values);
    this.sourceRows = backend.of(source, numRows);
    this.expertOffsets = backend.of(offsets, offsets.length);
    this.activeExperts = backend.of(java.util.Arrays.copyOf(active, numActive), numActive);
    this.output =
        backend
            .allocate(form.outputType, numRows, outputSize)
            .fill(Float.NaN); // an element the kernel forgets stays NaN
    this.weights =
        new ExpertMatrices(
            backend.memory(),
            form.weightFormat,
            form.layout,
            form.productType,
            rowsPerExpert.length,
            outputSize,
            inputSize,
            form.gated,
            form.biased);
    for (int e = 0; e < rowsPerExpert.length; e++) {
      float[][] of = new float[4][]; // weight, up, bias, up bias
      expertValues.add(of);
      if (rowsPerExpert[e] == 0) continue; // never resident, never read
      Matrix weight = matrix(values);
      of[0] = WeightCodec.decode(weight);
      Matrix up = form.gated ? matrix(values) : null;
      if (form.gated) of[1] = WeightCodec.decode(up);
      weight = arranged(weight);
      up = arranged(up);
      Tensor bias = form.biased ? bias(values) : null;
      if (form.biased) of[2] = bias.toFloatArray();
      Tensor upBias = form.biased && form.gated ? bias(values) : null;
      if (upBias != null) of[3] = upBias.toFloatArray();
      weights.set(e, weight, up, bias, upBias);
    }
    this.inputValues = multiplied(input);
  }

  /** The elements of the input as they are multiplied. */
  private float[] multiplied(Tensor input) {
    float[] values = input.toFloatArray();
    if (form.productType != DType.BF16) return values;
    try (Tensor rounded = Tensor.allocate(DType.BF16, values.length).copyFrom(values)) {
      return rounded.toFloatArray();
    }
  }

  /** Values in [-4, 4]. Sums are exact in f32 in any order if 16 * inputSize is below 2^24. */
  public static GroupedGemmProblem smallIntegers(
      Backend backend,
      Form form,
      Random random,
      int[] rowsPerExpert,
      int inputSize,
      int outputSize) {
    return new GroupedGemmProblem(
        backend, form, random, () -> random.nextInt(9) - 4, rowsPerExpert, inputSize, outputSize);
  }

  /**
   * Normal values scaled so that sums are of the order of one, where activations bend; rounded to
   * the types first.
   */
  public static GroupedGemmProblem reals(
      Backend backend,
      Form form,
      Random random,
      int[] rowsPerExpert,
      int inputSize,
      int outputSize) {
    double scale = 1.4 / Math.pow(inputSize, 0.25);
    return new GroupedGemmProblem(
        backend,
        form,
        random,
        () -> (float) (random.nextGaussian() * scale),
        rowsPerExpert,
        inputSize,
        outputSize);
  }

  /** The token that a row reads. */
  public int source(int row) {
    return source[row];
  }

  public Form form() {
    return form;
  }

  public int numRows() {
    return (int) sourceRows.dim(0);
  }

  public int outputSize() {
    return outputSize;
  }

  public Tensor input() {
    return input;
  }

  public Tensor sourceRows() {
    return sourceRows;
  }

  public Tensor expertOffsets() {
    return expertOffsets;
  }

  public Tensor activeExperts() {
    return activeExperts;
  }

  public ExpertMatrices weights() {
    return weights;
  }

  public Tensor output() {
    return output;
  }

  /** Runs on the backend whose memory holds the problem. */
  public GroupedGemmProblem run() {
    return run(backend);
  }

  /** Runs on another backend with the same memory. */
  public GroupedGemmProblem run(Backend other) {
    GroupedGemm.run(
        other,
        input,
        sourceRows,
        expertOffsets,
        activeExperts,
        (int) activeExperts.dim(0),
        weights,
        form.activation,
        output);
    return this;
  }

  /**
   * Output element (row, column) in double precision, its expert found by linear search, with the
   * bound of f32 arithmetic on it.
   */
  public Exact exact(int row, int column) {
    int expert = 0;
    for (int first = 0; first + rowsPerExpert[expert] <= row; expert++)
      first += rowsPerExpert[expert];
    float[][] of = expertValues.get(expert);
    Exact gate = product(row, column, of[0], of[2]);
    Exact up = form.gated ? product(row, column, of[1], of[3]) : new Exact(1, 0);
    return combine(gate, up);
  }

  /**
   * k products and k sums (the bias is the last) of relative error U each: at most (k + 1) U
   * sum|ab|, to first order in U.
   */
  private Exact product(int row, int column, float[] weight, float[] bias) {
    int token = source[row];
    double sum = bias == null ? 0 : bias[column];
    double magnitude = Math.abs(sum);
    for (int k = inputSize - 1; k >= 0; k--) {
      double term = (double) inputValues[token * inputSize + k] * weight[column * inputSize + k];
      sum += term;
      magnitude += Math.abs(term);
    }
    return new Exact(sum, 1.001 * (inputSize + 1) * U * magnitude);
  }

  /**
   * No activation here has a slope above 1.13 (GELU's largest). Evaluating one costs at most 10 U
   * |g|: exp within 4 U, four more roundings, and the argument's own rounding weighted by y
   * sigmoid'(y) &lt; 0.23 (the erf approximation: 0.5 |g| 1.5e-7 = 1.3 U |g|).
   */
  private Exact combine(Exact gate, Exact up) {
    double g = gate.value;
    double u = up.value;
    if (form.activation == Activation.CLAMPED_SWIGLU) {
      g = Math.min(g, 7);
      u = Math.max(-7, Math.min(u, 7)) + 1;
    }
    if (form.gated && form.activation == Activation.DRELU) u = Math.max(u, 0);
    double a =
        switch (form.activation) {
          case NONE -> g;
          case RELU, DRELU -> Math.max(g, 0);
          case RELU_SQUARED -> Math.max(g, 0) * Math.max(g, 0);
          case SILU -> g / (1 + Math.exp(-g));
          case GELU_ERF -> 0.5 * g * (1 + erf(g / Math.sqrt(2)));
          case GELU_TANH ->
              0.5 * g * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (g + 0.044715 * g * g * g)));
          case CLAMPED_SWIGLU -> g / (1 + Math.exp(-1.702 * g));
        };
    double error =
        switch (form.activation) {
          case NONE, RELU, DRELU -> gate.bound;
          case RELU_SQUARED -> 2 * Math.abs(g) * gate.bound + gate.bound * gate.bound + U * g * g;
          default -> 1.13 * gate.bound + 10 * U * Math.abs(g);
        };
    double upError =
        up.bound + (form.activation == Activation.CLAMPED_SWIGLU ? U * Math.abs(u) : 0);
    double value = a * u;
    double bound =
        error * Math.abs(u)
            + Math.abs(a) * upError
            + error * upError
            + (form.gated ? U * Math.abs(value) : 0);
    double rounding = form.outputType == DType.BF16 ? 0x1p-8 : U;
    return new Exact(
        value, bound + 1.001 * rounding * (Math.abs(value) + bound) + Float.MIN_NORMAL);
  }

  /** All terms positive: 2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (2n+1)!!. */
  private static double erf(double x) {
    double term = x;
    double sum = 0;
    for (int n = 0; n < 400; n++) {
      sum += term;
      term *= 2 * x * x / (2 * n + 3);
    }
    return Math.abs(x) > 6 ? Math.signum(x) : 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
  }

  private static Tensor fill(Tensor tensor, Values values) {
    float[] numbers = new float[Math.toIntExact(tensor.size())];
    for (int i = 0; i < numbers.length; i++) numbers[i] = values.next();
    return tensor.copyFrom(numbers);
  }

  /** The matrix in the form's layout. */
  private Matrix arranged(Matrix matrix) {
    if (matrix == null || form.layout == WeightLayout.ROWS) return matrix;
    form.layout.arrange(matrix.plane(0));
    return Matrix.of(form.layout, matrix.plane(0));
  }

  private Matrix matrix(Values values) {
    float[] numbers = new float[outputSize * inputSize];
    for (int i = 0; i < numbers.length; i++) numbers[i] = values.next();
    Matrix matrix = WeightCodec.encode(backend, form.weightFormat, numbers, outputSize, inputSize);
    matrices.add(matrix);
    return matrix;
  }

  private Tensor bias(Values values) {
    Tensor bias = fill(backend.f32(outputSize), values);
    biases.add(bias);
    return bias;
  }

  @Override
  public void close() {
    weights.close();
    for (Tensor tensor : new Tensor[] {input, sourceRows, expertOffsets, activeExperts, output})
      tensor.close();
    matrices.forEach(WeightCodec::close);
    biases.forEach(Tensor::close);
  }
}
