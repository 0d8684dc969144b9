package org.winnow.cuda;

/** What kernels with a block per row of f32 need: pieces of four elements, a thread for each. */
final class RowGrid {
  private static final int PIECE = 4;
  private static final int WARP = 32;
  private static final int MAX_BLOCK = 512; // wider rows: a thread takes several pieces

  private RowGrid() {}

  /** Threads for rows of that size; the order of sums depends on them, so on nothing else. */
  static int block(long size) {
    long warps = (size + PIECE * WARP - 1) / (PIECE * WARP);
    return (int) Math.min(MAX_BLOCK, warps * WARP);
  }
}
