package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.WeightFormat;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.NativeCodes;

/** Launches grouped_gemm_cuda.cu: dot products for few rows per expert, tiles for many. */
final class CudaGroupedGemm {
  /**
   * Rows per expert, on average, from which on tiles are taken. A dot product reads the weights
   * once per row, from the second row of an expert on from the second-level cache, which is two to
   * three times as fast as memory; a tile reads them once for up to 64 rows, but with a quarter of
   * the blocks or fewer. Not measured on a device.
   */
  static final int MIN_AVERAGE_ROWS = 4;

  /** From this length of a row of weights on a whole block shares each dot product. */
  private static final int MIN_SPLIT_BYTES = // two loads per thread
      2 * GroupedGemmLaunch.VECTOR_BYTES * GroupedGemmLaunch.GEMV_THREADS;

  private static final WeightFormat[] FORMATS = WeightFormat.values();

  /** What a kernel of tiles is for: the contracts' numbers of the types. */
  private record Case(int inputType, int weightFormat, boolean gated) {}

  private final GroupedGemmPath path;
  private final Kernel gemv;
  private final Map<Case, Kernel> tiles = new HashMap<>();

  CudaGroupedGemm(CudaContext context, GroupedGemmPath path) {
    this.path = path;
    gemv = context.kernel("grouped_gemm", "grouped_gemm_gemv");
    CudaDevice device = context.device();
    int capability = 10 * device.computeMajor() + device.computeMinor();
    for (GroupedGemmLaunch.Variant variant : GroupedGemmLaunch.KERNELS) {
      if (variant.capability() > capability) continue;
      tiles.putIfAbsent(
          new Case(variant.inputType(), variant.weightFormat(), variant.gated() == 1),
          context.kernel("grouped_gemm", variant.name()));
    }
  }

  /** Enqueues the products of a call; those that take dot products share a launch. */
  void launch(CudaStream stream, GroupedGemmArguments products) {
    for (GroupedGemmArguments p = products; p != null; p = p.next()) requireTypes(p);
    KernelArguments packed = stream.arguments().begin();
    int blocks = 0;
    int pending = 0;
    for (GroupedGemmArguments p = products; p != null; p = p.next()) {
      if (isEmpty(p) || !isGemv(p)) continue;
      int own = gemvBlocks(p);
      GroupedGemmLaunch.gemvExtras(packed.struct(p), own, threadsPerDot(p));
      blocks = Math.addExact(blocks, own);
      pending++;
    }
    if (pending > 0) {
      for (; pending < NativeCodes.GROUPED_GEMM_MAX_PRODUCTS; pending++)
        GroupedGemmLaunch.gemvExtras(packed.zeros(GroupedGemmArguments.SIZE_BYTES), 0, 0);
      gemv.launch(stream, blocks, 1, 1, GroupedGemmLaunch.GEMV_THREADS, 0, packed);
    }
    for (GroupedGemmArguments p = products; p != null; p = p.next()) {
      if (!isEmpty(p) && !isGemv(p)) launchTiles(stream, p);
    }
  }

  private static void requireTypes(GroupedGemmArguments product) {
    requireF32OrBf16("input type", product.inputType());
    requireF32OrBf16("output type", product.outputType());
    if (product.weightFormat() < 0 || product.weightFormat() >= FORMATS.length)
      throw new IllegalArgumentException(
          "weight format must lie in [0, " + FORMATS.length + "), found " + product.weightFormat());
  }

  private static void requireF32OrBf16(String what, int dtype) {
    if (dtype != NativeCodes.DTYPE_F32 && dtype != NativeCodes.DTYPE_BF16)
      throw new IllegalArgumentException(what + " must be f32 or bf16, found code " + dtype);
  }

  private static boolean isEmpty(GroupedGemmArguments product) {
    return product.numRows() == 0 || product.numActive() == 0;
  }

  /**
   * By what every wave of a plan shares, read back or not: the bits do not depend on how many
   * experts fit at once.
   */
  private boolean isGemv(GroupedGemmArguments product) {
    long rows = product.numRows(); // the most that there can be: the offsets, on the device, say
    long experts = product.expertOffsets() == 0 ? 1 : product.numExperts();
    return path == GroupedGemmPath.GEMV
        || path == GroupedGemmPath.AUTOMATIC && rows < MIN_AVERAGE_ROWS * Math.min(rows, experts);
  }

  private void launchTiles(CudaStream stream, GroupedGemmArguments product) {
    Case wanted = new Case(product.inputType(), product.weightFormat(), isGated(product));
    Kernel kernel = tiles.get(wanted);
    if (kernel == null)
      throw new IllegalArgumentException(
          "there are no tiles for weights of " + FORMATS[product.weightFormat()]);
    int columns =
        isGated(product)
            ? GroupedGemmLaunch.TILE_WEIGHT_ROWS / 2
            : GroupedGemmLaunch.TILE_WEIGHT_ROWS;
    int rows = Math.toIntExact(product.numRows());
    kernel.launch(
        stream,
        maxRowTiles(rows, product.expertOffsets() == 0 ? 1 : Math.toIntExact(product.numActive())),
        Math.toIntExact(ceilDiv(product.outputSize(), columns)),
        1,
        GroupedGemmLaunch.TILE_THREADS,
        0,
        stream.arguments().of(product));
  }

  /** Every active expert may have one tile that is not full. */
  static int maxRowTiles(int rows, int numActive) {
    return Math.toIntExact((long) rows / GroupedGemmLaunch.TILE_ROWS + Math.min(rows, numActive));
  }

  private static int gemvBlocks(GroupedGemmArguments product) {
    int columns = isGated(product) ? GroupedGemmLaunch.DOTS / 2 : GroupedGemmLaunch.DOTS;
    if (threadsPerDot(product) == DeviceLaunch.WARP_SIZE) columns *= GroupedGemmLaunch.GEMV_WARPS;
    return Math.toIntExact(product.numRows() * ceilDiv(product.outputSize(), columns));
  }

  private static int threadsPerDot(GroupedGemmArguments product) {
    return FORMATS[product.weightFormat()].rowBytes(product.inputSize()) >= MIN_SPLIT_BYTES
        ? GroupedGemmLaunch.GEMV_THREADS
        : DeviceLaunch.WARP_SIZE;
  }

  private static boolean isGated(GroupedGemmArguments product) {
    return product.upWeights() != 0;
  }

  private static long ceilDiv(long size, int step) {
    return (size + step - 1) / step;
  }
}
