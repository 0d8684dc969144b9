package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.cuda.GpuReport.Launch;
import org.winnow.internal.Internals;

/** What the kernels of the grouped GEMM read and multiply, as counted by the stand-in. */
@OnStandInOnly
class GroupedGemmCountersTest {
  private static final int SECTOR_BYTES = 32;

  private static CudaBackend open(GroupedGemmPath path) {
    return new CudaBackend(0, Long.MAX_VALUE, path);
  }

  private static long bytes(Launch launch, Tensor tensor, String what) {
    Map<String, Object> traffic = launch.traffic(Internals.address(tensor));
    return traffic == null ? 0 : (Long) traffic.get(what);
  }

  private static long sizeBytes(Tensor tensor) {
    return tensor.size() * tensor.dtype().sizeBytes();
  }

  /** That many times all of it, in sectors that are used whole. */
  private static void assertRead(Launch launch, Matrix matrix, long times) {
    Tensor weight = matrix.plane(0);
    assertThat(bytes(launch, weight, "load_bytes")).isEqualTo(times * sizeBytes(weight));
    assertThat(bytes(launch, weight, "distinct_load_bytes"))
        .isEqualTo(times == 0 ? 0 : sizeBytes(weight));
    assertThat(0.95 * SECTOR_BYTES * bytes(launch, weight, "load_sectors"))
        .isLessThanOrEqualTo((double) bytes(launch, weight, "load_bytes"));
  }

  /** Rows of weights of half a block's loads and of two, output columns that fill no group. */
  @ParameterizedTest
  @CsvSource({
    "F32, F32, BF16, 256",
    "F32, BF16, BF16, 256",
    "BF16, BF16, BF16, 256",
    "BF16, BF16, BF16, 2048",
    "F32, F32, F32, 1024",
    "F32, BF16, F16, 1024",
    "BF16, BF16, F16, 2048"
  })
  void atOneRowPerExpertEachWeightIsRequestedOnceAndOnlyOfThoseChosen(
      DType inputType, DType productType, WeightFormat format, int inputSize) {
    try (CudaBackend backend = open(GroupedGemmPath.AUTOMATIC);
        GroupedGemmLayer layer =
            new GroupedGemmLayer(
                backend, inputType, productType, format, true, inputSize, 21, 1, 0, 1, 1)) {
      Launch launch = layer.launch();
      assertThat(launch.kernel()).isEqualTo("grouped_gemm_gemv");
      assertThat(launch.counter("atomics")).isZero();
      for (int e = 0; e < 4; e++) {
        assertRead(launch, layer.gates[e], e == 1 ? 0 : 1);
        assertRead(launch, layer.ups[e], e == 1 ? 0 : 1);
      }
    }
  }

  /** For dot products, each row counts as a tile. */
  @Test
  void dotProductsRequestWeightsOncePerRow() {
    int[] rows = {3, 0, 2, 1};
    try (CudaBackend backend = open(GroupedGemmPath.AUTOMATIC);
        GroupedGemmLayer layer =
            new GroupedGemmLayer(backend, DType.BF16, WeightFormat.BF16, true, 256, 21, rows)) {
      Launch launch = layer.launch();
      assertThat(launch.kernel()).isEqualTo("grouped_gemm_gemv");
      for (int e = 0; e < 4; e++) {
        assertRead(launch, layer.gates[e], rows[e]);
        assertRead(launch, layer.ups[e], rows[e]);
      }
    }
  }

  static List<GroupedGemmLaunch.Variant> tiles() {
    return GroupedGemmLaunch.KERNELS;
  }

  /** So no expert has more than one tile that is not full. */
  @ParameterizedTest
  @MethodSource("tiles")
  void tilesRequestWeightsOncePerTileAndMultiplyNoMoreThanTheTiles(GroupedGemmLaunch.Variant tile) {
    DType inputType = DType.values()[tile.inputType()];
    WeightFormat format = WeightFormat.values()[tile.weightFormat()];
    boolean gated = tile.gated() == 1;
    DType productType = DType.values()[tile.productType()];
    int productsPerStep = tile.products().equals("scalar") ? 0 : productType == DType.F32 ? 3 : 1;
    int inputSize = 96;
    int outputSize = 136;
    try (CudaBackend backend = open(GroupedGemmPath.TILES);
        GroupedGemmLayer layer =
            new GroupedGemmLayer(
                backend,
                inputType,
                productType,
                format,
                gated,
                inputSize,
                outputSize,
                65,
                0,
                64,
                1)) {
      Launch launch = layer.launch();
      assertThat(launch.kernel()).isEqualTo(tile.name());
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

  @ParameterizedTest
  @CsvSource({
    "F32, F32, 64",
    "F32, F32, 65",
    "F32, BF16, 64",
    "F32, BF16, 65",
    "BF16, BF16, 64",
    "BF16, BF16, 65"
  })
  void tensorCoreTilesMeetInBanksHardlyEver(DType inputType, DType productType, int rows) {
    for (boolean gated : new boolean[] {false, true}) {
      try (CudaBackend backend = open(GroupedGemmPath.TILES);
          GroupedGemmLayer layer =
              new GroupedGemmLayer(
                  backend,
                  inputType,
                  productType,
                  WeightFormat.BF16,
                  gated,
                  256,
                  136,
                  rows,
                  0,
                  3)) {
        Launch launch = layer.launch();
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
        GroupedGemmLayer layer =
            new GroupedGemmLayer(
                backend, DType.BF16, WeightFormat.BF16, false, 32, 8, rowsPerExpert)) {
      return layer.launch().kernel();
    }
  }
}
