package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cuda.GpuReport.Launch;
import org.winnow.moe.Activation;
import org.winnow.moe.ExpertMatrices;
import org.winnow.moe.GroupedGemm;

/** What the kernels of the grouped GEMM read and multiply, as counted by the stand-in. */
class GroupedGemmCountersTest {
  private static final int SECTOR_BYTES = 32;

  @BeforeAll
  static void countsOnTheStandInOnly() {
    assumeTrue(GpuSim.isLoaded(), () -> "nothing is counted: " + GpuSim.cause());
  }

  /** A layer whose experts all have weights, and rows for some of them. */
  static final class Layer implements AutoCloseable {
    final CudaBackend backend;
    final int[] rowsPerExpert;
    final Tensor input;
    final Tensor sourceRows;
    final Tensor offsets;
    final Tensor active;
    final Tensor[] gates;
    final Tensor[] ups;
    final ExpertMatrices weights;
    final Tensor output;

    Layer(
        CudaBackend backend,
        DType inputType,
        DType weightType,
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
              backend.memory(), weightType, numExperts, outputSize, inputSize, gated, false);
      gates = new Tensor[numExperts];
      ups = new Tensor[numExperts];
      for (int e = 0; e < numExperts; e++) {
        gates[e] = random(random, weightType, outputSize, inputSize);
        if (gated) ups[e] = random(random, weightType, outputSize, inputSize);
        weights.set(e, gates[e].address(), gated ? ups[e].address() : 0, 0, 0);
      }
      output = backend.f32(numRows, outputSize).fill(Float.NaN);
    }

    private Tensor random(Random random, DType type, int rows, int columns) {
      float[] values = new float[rows * columns];
      for (int i = 0; i < values.length; i++) values[i] = random.nextInt(9) - 4;
      return backend.allocate(type, rows, columns).copyFrom(values);
    }

    /** The one launch that this takes. */
    Launch run() {
      weights.weightTable(); // on the device before anything is counted
      input.toFloatArray(); // waits for the copies
      GpuReport.take();
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
      assertThat(output.toFloatArray()).doesNotContain(Float.NaN);
      GpuReport report = GpuReport.take();
      assertThat(report.launches()).hasSize(1);
      return report.launches().get(0);
    }

    GroupedGemm.Product product() {
      return new GroupedGemm.Product(
          input,
          sourceRows,
          offsets,
          active,
          rowsPerExpert.length,
          weights,
          Activation.NONE,
          output);
    }

    @Override
    public void close() {
      weights.close();
      for (Tensor t : new Tensor[] {input, sourceRows, offsets, active, output}) t.close();
      for (Tensor t : gates) t.close();
      for (Tensor t : ups) {
        if (t != null) t.close();
      }
    }
  }

  private static CudaBackend open(GroupedGemmPath path) {
    return new CudaBackend(0, Long.MAX_VALUE, path);
  }

  private static long bytes(Launch launch, Tensor tensor, String what) {
    Map<String, Object> traffic = launch.traffic(tensor.address());
    return traffic == null ? 0 : (Long) traffic.get(what);
  }

  private static long sizeBytes(Tensor tensor) {
    return tensor.size() * tensor.dtype().sizeBytes();
  }

  /** That many times all of it, in sectors that are used whole. */
  private static void assertRead(Launch launch, Tensor weight, long times) {
    assertThat(bytes(launch, weight, "load_bytes")).isEqualTo(times * sizeBytes(weight));
    assertThat(bytes(launch, weight, "distinct_load_bytes"))
        .isEqualTo(times == 0 ? 0 : sizeBytes(weight));
    assertThat(0.95 * SECTOR_BYTES * bytes(launch, weight, "load_sectors"))
        .isLessThanOrEqualTo((double) bytes(launch, weight, "load_bytes"));
  }

  /** Rows of weights of half a block's loads and of two, output columns that fill no group. */
  @ParameterizedTest
  @CsvSource({
    "F32, BF16, 256",
    "BF16, BF16, 256",
    "BF16, BF16, 2048",
    "F32, F32, 1024",
    "BF16, F16, 2048"
  })
  void atOneRowPerExpertEachWeightIsRequestedOnceAndOnlyOfThoseChosen(
      DType inputType, DType weightType, int inputSize) {
    try (CudaBackend backend = open(GroupedGemmPath.AUTOMATIC);
        Layer layer = new Layer(backend, inputType, weightType, true, inputSize, 21, 1, 0, 1, 1)) {
      Launch launch = layer.run();
      assertThat(launch.kernel()).isEqualTo("grouped_gemm_gemv");
      assertThat(launch.counter("atomics")).isZero();
      for (int e = 0; e < 4; e++) {
        assertRead(launch, layer.gates[e], e == 1 ? 0 : 1);
        assertRead(launch, layer.ups[e], e == 1 ? 0 : 1);
      }
    }
  }

  /** A row is a tile of its own there. */
  @Test
  void dotProductsRequestWeightsOncePerRow() {
    int[] rows = {3, 0, 2, 1};
    try (CudaBackend backend = open(GroupedGemmPath.AUTOMATIC);
        Layer layer = new Layer(backend, DType.BF16, DType.BF16, true, 256, 21, rows)) {
      Launch launch = layer.run();
      assertThat(launch.kernel()).isEqualTo("grouped_gemm_gemv");
      for (int e = 0; e < 4; e++) {
        assertRead(launch, layer.gates[e], rows[e]);
        assertRead(launch, layer.ups[e], rows[e]);
      }
    }
  }

  /** So no expert has more than one tile that is not full. */
  @ParameterizedTest
  @CsvSource({
    "F32, BF16, tensor_f32_bf16, 3",
    "BF16, BF16, tensor_bf16_bf16, 1",
    "F32, F32, scalar_f32_f32, 0",
    "BF16, F16, scalar_bf16_f16, 0"
  })
  void tilesRequestWeightsOncePerTileAndMultiplyNoMoreThanTheTiles(
      DType inputType, DType weightType, String kernel, int productsPerStep) {
    int inputSize = 96;
    int outputSize = 136;
    for (boolean gated : new boolean[] {false, true}) {
      try (CudaBackend backend = open(GroupedGemmPath.TILES);
          Layer layer =
              new Layer(
                  backend, inputType, weightType, gated, inputSize, outputSize, 65, 0, 64, 1)) {
        Launch launch = layer.run();
        assertThat(launch.kernel()).isEqualTo("grouped_gemm_" + kernel + (gated ? "_gated" : ""));
        assertThat(launch.counter("atomics")).isZero();
        int[] tiles = {2, 0, 1, 1}; // of 64 rows
        for (int e = 0; e < 4; e++) {
          assertRead(launch, layer.gates[e], tiles[e]);
          if (gated) assertRead(launch, layer.ups[e], tiles[e]);
        }
        int columnTiles = gated ? 3 : 2; // of 64 and of 128 columns
        int steps = inputSize / 16;
        int perStep = 64 / 16 * (128 / 8); // products of 16 by 8 in a tile
        assertThat(launch.counter("mma"))
            .isEqualTo((long) productsPerStep * 4 * columnTiles * steps * perStep);
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"F32, 64", "F32, 65", "BF16, 64", "BF16, 65"})
  void tensorCoreTilesMeetInBanksHardlyEver(DType inputType, int rows) {
    for (boolean gated : new boolean[] {false, true}) {
      try (CudaBackend backend = open(GroupedGemmPath.TILES);
          Layer layer = new Layer(backend, inputType, DType.BF16, gated, 256, 136, rows, 0, 3)) {
        Launch launch = layer.run();
        assertThat((double) launch.counter("shared_wavefronts"))
            .isLessThanOrEqualTo(1.02 * launch.counter("shared_ideal_wavefronts"));
      }
    }
  }

  @Test
  void thePathIsChosenByRowsPerExpertUnlessPinned() {
    assertThat(kernel(GroupedGemmPath.AUTOMATIC, 4, 3)).isEqualTo("grouped_gemm_gemv");
    assertThat(kernel(GroupedGemmPath.AUTOMATIC, 4, 4)).startsWith("grouped_gemm_tensor");
    assertThat(kernel(GroupedGemmPath.GEMV, 4, 4)).isEqualTo("grouped_gemm_gemv");
    assertThat(kernel(GroupedGemmPath.TILES, 1, 1)).startsWith("grouped_gemm_tensor");
  }

  private static String kernel(GroupedGemmPath path, int... rowsPerExpert) {
    try (CudaBackend backend = open(path);
        Layer layer = new Layer(backend, DType.BF16, DType.BF16, false, 32, 8, rowsPerExpert)) {
      return layer.run().kernel();
    }
  }

  /** A router's logits, shared experts and their gate: different types, shapes, forms. */
  @Test
  void independentProductsOfFewRowsShareALaunchAndKeepTheirBits() {
    try (CudaBackend backend = open(GroupedGemmPath.AUTOMATIC);
        Layer router = new Layer(backend, DType.BF16, DType.F32, false, 1024, 40, 1);
        Layer shared = new Layer(backend, DType.BF16, DType.BF16, true, 1024, 24, 1);
        Layer gate = new Layer(backend, DType.BF16, DType.F16, false, 1024, 1, 1);
        Layer routed = new Layer(backend, DType.F32, DType.BF16, false, 48, 24, 1, 0, 1)) {
      Layer[] layers = {router, shared, gate, routed};
      float[][] alone = new float[layers.length][];
      for (int i = 0; i < layers.length; i++) {
        layers[i].run();
        alone[i] = layers[i].output.toFloatArray();
        layers[i].output.fill(Float.NaN);
      }
      router.output.toFloatArray();
      GpuReport.take();
      backend.groupedGemm(router.product(), shared.product(), gate.product(), routed.product());
      for (int i = 0; i < layers.length; i++)
        assertThat(layers[i].output.toFloatArray()).isEqualTo(alone[i]);
      assertThat(GpuReport.take().launches()).hasSize(2); // three and one
    }
  }
}
