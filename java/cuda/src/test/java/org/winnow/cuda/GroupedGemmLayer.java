package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm;
import org.winnow.op.WeightCodec;

/** A layer whose experts all have weights, and rows for some of them. */
final class GroupedGemmLayer implements AutoCloseable {
  final CudaBackend backend;
  final int[] rowsPerExpert;
  final Tensor input;
  final Tensor sourceRows;
  final Tensor offsets;
  final Tensor active;
  final Matrix[] gates;
  final Matrix[] ups;
  final ExpertMatrices weights;
  final Tensor output;

  GroupedGemmLayer(
      CudaBackend backend,
      DType inputType,
      WeightFormat format,
      boolean gated,
      int inputSize,
      int outputSize,
      int... rowsPerExpert) {
    this(backend, inputType, DType.F32, format, gated, inputSize, outputSize, rowsPerExpert);
  }

  GroupedGemmLayer(
      CudaBackend backend,
      DType inputType,
      DType productType,
      WeightFormat format,
      boolean gated,
      int inputSize,
      int outputSize,
      int... rowsPerExpert) {
    this.backend = backend;
    this.rowsPerExpert = rowsPerExpert;
    int numExperts = rowsPerExpert.length;
    int[] offset = new int[numExperts + 1];
    for (int e = 0; e < numExperts; e++) offset[e + 1] = offset[e] + rowsPerExpert[e];
    int numRows = offset[numExperts];
    int[] source = new int[numRows];
    for (int r = 0; r < numRows; r++) source[r] = numRows - 1 - r;
    int[] every = new int[numExperts];
    for (int e = 0; e < numExperts; e++) every[e] = e;
    Random random = new Random(1);
    input = random(random, inputType, numRows, inputSize);
    sourceRows = backend.of(source, numRows);
    offsets = backend.of(offset, numExperts + 1);
    active = backend.of(every, numExperts);
    weights =
        new ExpertMatrices(
            backend.memory(),
            format,
            WeightLayout.ROWS,
            productType,
            numExperts,
            outputSize,
            inputSize,
            gated,
            false);
    gates = new Matrix[numExperts];
    ups = new Matrix[numExperts];
    for (int e = 0; e < numExperts; e++) {
      gates[e] = random(random, format, outputSize, inputSize);
      if (gated) ups[e] = random(random, format, outputSize, inputSize);
      weights.set(e, gates[e], ups[e], null, null);
    }
    output = backend.f32(numRows, outputSize).fill(Float.NaN);
  }

  private Tensor random(Random random, DType type, int rows, int columns) {
    return backend.allocate(type, rows, columns).copyFrom(gaussian(random, rows * columns));
  }

  private Matrix random(Random random, WeightFormat format, int rows, int columns) {
    return WeightCodec.encode(backend, format, gaussian(random, rows * columns), rows, columns);
  }

  private static float[] gaussian(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }

  /** Enqueues the products. */
  void run() {
    GroupedGemm.run(
        backend,
        input,
        sourceRows,
        offsets,
        active,
        rowsPerExpert.length,
        weights,
        Activation.NONE,
        output);
  }

  /** The products, in an output that the first call writes. */
  float[] multiply() {
    run();
    float[] products = output.toFloatArray();
    assertThat(products).doesNotContain(Float.NaN);
    return products;
  }

  /** The one launch that this takes. */
  GpuReport.Launch launch() {
    weights.handOver(); // on the device before anything is counted
    input.toFloatArray(); // waits for the copies
    GpuReport.take();
    multiply();
    GpuReport report = GpuReport.take();
    assertThat(report.launches()).hasSize(1);
    return report.launches().get(0);
  }

  GroupedGemm.Product product() {
    return new GroupedGemm.Product(
        input, sourceRows, offsets, active, rowsPerExpert.length, weights, Activation.NONE, output);
  }

  @Override
  public void close() {
    weights.close();
    for (Tensor t : new Tensor[] {input, sourceRows, offsets, active, output}) t.close();
    for (Matrix matrix : gates) close(matrix);
    for (Matrix matrix : ups) if (matrix != null) close(matrix);
  }

  private static void close(Matrix matrix) {
    for (int i = 0; i < matrix.format().planes(); i++) matrix.plane(i).close();
  }
}
