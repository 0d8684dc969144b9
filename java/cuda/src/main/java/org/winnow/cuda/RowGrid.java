package org.winnow.cuda;

/**
 * The block size of kernels with one block per row of f32. A thread processes four elements at a
 * time.
 */
final class RowGrid {
  private static final int PIECE = 4;
  private static final int WARP = 32;
  private static final int MAX_BLOCK =
      512; // in wider rows, a thread processes several groups of four

  private RowGrid() {}

  /**
   * Number of threads for rows of that size. It determines the order of summation, so it depends on
   * nothing else.
   */
  static int block(long size) {
    long warps = (size + PIECE * WARP - 1) / (PIECE * WARP);
    return (int) Math.min(MAX_BLOCK, warps * WARP);
  }
}
