package org.winnow.cuda;

/** The grid of kernels that process f32 elements one by one, or four at a time if possible. */
final class ElementGrid {
  static final int BLOCK = 256;

  static final int VECTOR = 4; // f32 in 16 bytes
  private static final int BLOCKS_PER_MULTIPROCESSOR =
      8; // 2048 threads, the maximum of a multiprocessor

  private final int maxBlocks;

  ElementGrid(CudaDevice device) {
    maxBlocks = device.multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
  }

  /** Number of blocks for one vector per thread, but no more than the device runs at once. */
  int blocks(long size) {
    long threads = (size + VECTOR - 1) / VECTOR;
    return (int) Math.min(maxBlocks, (threads + BLOCK - 1) / BLOCK);
  }

  /** Number of blocks for one element per thread, but no more than the device runs at once. */
  int blocksOfOne(long size) {
    return (int) Math.min(maxBlocks, (size + BLOCK - 1) / BLOCK);
  }

  /**
   * Whether rows can be processed vector by vector.
   *
   * @param addresses bitwise or of all operands' addresses
   * @param extents bitwise or of all offsets, strides and widths in f32
   */
  static boolean isVector(long addresses, long extents) {
    return (addresses & 15) == 0 && extents % VECTOR == 0;
  }
}
