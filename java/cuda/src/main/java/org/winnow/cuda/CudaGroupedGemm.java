package org.winnow.cuda;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm.Product;

/** Launches grouped_gemm_cuda.cu: dot products for few rows per expert, tiles for many. */
final class CudaGroupedGemm {
  /**
   * Rows per expert, on average, from which on tiles are taken. A dot product reads the weights
   * once per row, from the second row of an expert on from the second-level cache, which is two to
   * three times as fast as memory; a tile reads them once for up to 64 rows, but with a quarter of
   * the blocks or fewer. Not measured on a device.
   */
  static final int MIN_AVERAGE_ROWS = 4;

  static final int MAX_TOGETHER = 3; // products that the GEMV kernel takes

  static final int TILE_ROWS = 64; // BLOCK_M in grouped_gemm_tile.cuh
  static final int TILE_WEIGHT_ROWS = 128; // kWeightRows there
  static final int TILE_DEPTH = 32; // BLOCK_K there
  private static final int BLOCK = 128; // kTileThreads there, kGemvThreads in grouped_gemm_gemv.cuh
  private static final int DOTS = 8; // kDots there
  private static final int WARP = 32;
  private static final int PROBLEM_BYTES = 112; // GroupedGemmProblem in grouped_gemm_problem.cuh

  /** From this length of a row of weights on a whole block shares each dot product. */
  private static final int MIN_SPLIT_BYTES = 2 * 16 * BLOCK; // two loads per thread

  private static final DType[] INPUT_TYPES = {DType.F32, DType.BF16};
  private static final DType[] WEIGHT_TYPES = {DType.F32, DType.BF16, DType.F16};

  private final GroupedGemmPath path;
  private final Kernel gemv;
  private final Kernel[] tiles = new Kernel[INPUT_TYPES.length * WEIGHT_TYPES.length * 2];

  CudaGroupedGemm(CudaContext context, GroupedGemmPath path) {
    this.path = path;
    gemv = context.kernel("grouped_gemm", "grouped_gemm_gemv");
    for (DType input : INPUT_TYPES) {
      for (DType weight : WEIGHT_TYPES) {
        String name =
            "grouped_gemm_"
                + (weight == DType.BF16 ? "tensor" : "scalar")
                + "_"
                + input.toString()
                + "_"
                + weight.toString();
        tiles[index(input, weight, false)] = context.kernel("grouped_gemm", name);
        tiles[index(input, weight, true)] = context.kernel("grouped_gemm", name + "_gated");
      }
    }
  }

  /**
   * Enqueues products none of which reads what another writes. Up to {@value #MAX_TOGETHER} that
   * take dot products share a launch.
   */
  void launch(CudaStream stream, Product... products) {
    KernelArguments arguments = stream.arguments().begin();
    int blocks = 0;
    int pending = 0;
    for (Product product : products) {
      if (maxRows(product) == 0 || product.numActive() == 0) continue;
      if (!isGemv(product)) continue;
      if (pending == MAX_TOGETHER) {
        launchGemv(stream, arguments, blocks, pending);
        arguments.begin();
        blocks = 0;
        pending = 0;
      }
      int own = gemvBlocks(product);
      pack(arguments, product, own, threadsPerDot(product.weights()));
      blocks = Math.addExact(blocks, own);
      pending++;
    }
    if (pending > 0) launchGemv(stream, arguments, blocks, pending);
    for (Product product : products) {
      if (maxRows(product) > 0 && product.numActive() > 0 && !isGemv(product))
        launchTiles(stream, product);
    }
  }

  /** The most rows that there can be; the offsets, on the device, say how many there are. */
  private static int maxRows(Product product) {
    Tensor sourceRows = product.sourceRows();
    long sources = sourceRows == null ? product.input().dim(0) : sourceRows.dim(0);
    return Math.toIntExact(Math.min(product.output().dim(0), sources));
  }

  /**
   * By what every wave of a plan shares, read back or not: the bits do not depend on how many
   * experts fit at once.
   */
  private boolean isGemv(Product product) {
    int rows = maxRows(product);
    int experts = product.expertOffsets() == null ? 1 : product.weights().numExperts();
    return path == GroupedGemmPath.GEMV
        || path == GroupedGemmPath.AUTOMATIC
            && rows < (long) MIN_AVERAGE_ROWS * Math.min(rows, experts);
  }

  private void launchGemv(CudaStream stream, KernelArguments arguments, int blocks, int products) {
    for (int i = products; i < MAX_TOGETHER; i++) {
      for (int word = 0; word < PROBLEM_BYTES / Long.BYTES; word++) arguments.i64(0);
    }
    gemv.launch(stream, blocks, 1, 1, BLOCK, 0, arguments);
  }

  private void launchTiles(CudaStream stream, Product product) {
    ExpertMatrices weights = product.weights();
    int rows = maxRows(product);
    int columns = weights.isGated() ? TILE_WEIGHT_ROWS / 2 : TILE_WEIGHT_ROWS;
    pack(stream.arguments().begin(), product, 0, 0);
    tiles[index(product.input().dtype(), weights.weightType(), weights.isGated())].launch(
        stream,
        maxRowTiles(rows, product.expertOffsets() == null ? 1 : product.numActive()),
        Math.toIntExact(ceilDiv(weights.outputSize(), columns)),
        1,
        BLOCK,
        0,
        stream.arguments());
  }

  /** Every active expert may have one tile that is not full. */
  static int maxRowTiles(int rows, int numActive) {
    return Math.toIntExact((long) rows / TILE_ROWS + Math.min(rows, numActive));
  }

  private static int gemvBlocks(Product product) {
    int columns = product.weights().isGated() ? DOTS / 2 : DOTS;
    if (threadsPerDot(product.weights()) == WARP) columns *= BLOCK / WARP;
    return Math.toIntExact(maxRows(product) * ceilDiv(product.weights().outputSize(), columns));
  }

  private static int threadsPerDot(ExpertMatrices weights) {
    long rowBytes = weights.inputSize() * weights.weightType().sizeBytes();
    return rowBytes >= MIN_SPLIT_BYTES ? BLOCK : WARP;
  }

  private static void pack(
      KernelArguments arguments, Product product, int numBlocks, int threadsPerDot) {
    ExpertMatrices weights = product.weights();
    arguments
        .address(product.input().address())
        .address(addressOrNull(product.sourceRows()))
        .address(weights.weightTable())
        .address(weights.upTable())
        .address(weights.biasTable())
        .address(weights.upBiasTable())
        .address(addressOrNull(product.expertOffsets()))
        .address(addressOrNull(product.activeExperts()))
        .address(product.output().address())
        .i32(maxRows(product))
        .i32(product.numActive())
        .i32(Math.toIntExact(weights.inputSize()))
        .i32(Math.toIntExact(weights.outputSize()))
        .i32(product.input().dtype().code())
        .i32(weights.weightType().code())
        .i32(product.output().dtype().code())
        .i32(product.activation().code())
        .i32(numBlocks)
        .i32(threadsPerDot);
  }

  private static int index(DType input, DType weight, boolean gated) {
    return (input.code() * WEIGHT_TYPES.length + weight.code()) * 2 + (gated ? 1 : 0);
  }

  private static long addressOrNull(Tensor tensor) {
    return tensor == null ? 0 : tensor.address();
  }

  private static long ceilDiv(long size, int step) {
    return (size + step - 1) / step;
  }
}
