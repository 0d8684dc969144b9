package org.winnow.cuda;

/** The grid of kernels that go over f32 elements one by one, four at a time where they can. */
final class ElementGrid {
  static final int BLOCK = 256;

  static final int VECTOR = 4; // f32 in 16 bytes
  private static final int BLOCKS_PER_MULTIPROCESSOR = 8; // 2048 threads, all that one holds

  private final int maxBlocks;

  ElementGrid(CudaDevice device) {
    maxBlocks = device.multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
  }

  /** Enough for one vector per thread, at most what the device runs at once. */
  int blocks(long size) {
    long threads = (size + VECTOR - 1) / VECTOR;
    return (int) Math.min(maxBlocks, (threads + BLOCK - 1) / BLOCK);
  }

  /** Enough for one element per thread, at most what the device runs at once. */
  int blocksOfOne(long size) {
    return (int) Math.min(maxBlocks, (size + BLOCK - 1) / BLOCK);
  }

  /**
   * Whether rows can be moved vector by vector.
   *
   * @param addresses of all operands, or-ed
   * @param extents offsets, strides and widths in f32, or-ed
   */
  static boolean isVector(long addresses, long extents) {
    return (addresses & 15) == 0 && extents % VECTOR == 0;
  }
}
