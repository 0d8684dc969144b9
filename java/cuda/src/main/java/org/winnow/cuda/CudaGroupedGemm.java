package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.WeightFormat;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.NativeCodes;

/** Launches grouped_gemm_cuda.cu, with dot products for few rows per expert and tiles for many. */
final class CudaGroupedGemm {
  /**
   * Average number of rows per expert from which tiles are used. Dot products read an expert's
   * weights once per row; from the second row on they come from the L2 cache, which is two to three
   * times as fast as memory. A tile reads the weights once for up to 64 rows, but uses at most a
   * quarter of the blocks. This value is not measured on a device.
   */
  static final int MIN_AVERAGE_ROWS = 4;

  /** Size of a weight row from which a whole block shares each dot product. */
  private static final int MIN_SPLIT_BYTES = // two loads per thread
      2 * GroupedGemmLaunch.VECTOR_BYTES * GroupedGemmLaunch.GEMV_THREADS;

  private static final WeightFormat[] FORMATS = WeightFormat.values();

  /** The types of a tile kernel, in the contracts' numbers. */
  private record Case(int inputType, int productType, int weightFormat, boolean gated) {}

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
          new Case(
              variant.inputType(),
              variant.productType(),
              variant.weightFormat(),
              variant.gated() == 1),
          context.kernel("grouped_gemm", variant.name()));
    }
  }

  /** Enqueues the products of a call. All products that use dot products share one launch. */
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
    requireF32OrBf16("product type", product.productType());
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
   * Decides by values that are equal for all waves of a plan, on the host or not. So the bits do
   * not depend on how many experts can be acquired at once.
   */
  private boolean isGemv(GroupedGemmArguments product) {
    long rows = product.numRows(); // an upper bound; only the device knows the offsets
    long experts = product.expertOffsets() == 0 ? 1 : product.numExperts();
    return path == GroupedGemmPath.GEMV
        || path == GroupedGemmPath.AUTOMATIC && rows < MIN_AVERAGE_ROWS * Math.min(rows, experts);
  }

  private void launchTiles(CudaStream stream, GroupedGemmArguments product) {
    boolean ofBf16 = product.inputType() == NativeCodes.DTYPE_BF16; // multiplied as it is
    int productType = ofBf16 ? NativeCodes.DTYPE_BF16 : product.productType();
    Case wanted =
        new Case(product.inputType(), productType, product.weightFormat(), isGated(product));
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

  /** Upper bound of the number of row tiles. Every active expert may have one partial tile. */
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
