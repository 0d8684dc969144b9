package org.winnow.cuda;

import org.winnow.internal.Arguments;

/**
 * Launches kernels of row_products.cuh with one block per tile of rows and columns. If that gives
 * too few blocks for the device, blocks of their own compute the parts of k, and a second launch
 * adds them. The bits are the same either way.
 */
final class RowProducts {
  private static final int BLOCKS_PER_MULTIPROCESSOR = 2; // below that, parts have blocks
  private static final long MAX_PARTS_BYTES = 64L << 20;

  private final Kernel merge;
  private final Scratch parts;
  private final ElementGrid elements;
  private final int wantedBlocks;

  RowProducts(CudaContext context, CudaMemory memory, Kernel merge) {
    this.merge = merge;
    parts = new Scratch(context, memory);
    elements = new ElementGrid(context.device());
    wantedBlocks = context.device().multiprocessors() * BLOCKS_PER_MULTIPROCESSOR;
  }

  void launch(
      CudaStream stream, Kernel kernel, Arguments arguments, long rows, long depth, long columns) {
    if (rows == 0 || columns == 0) return;
    int rowTiles = Math.toIntExact(ceilDiv(rows, RowProductsLaunch.ROW_PRODUCT_TILE_ROWS));
    int columnTiles = Math.toIntExact(ceilDiv(columns, RowProductsLaunch.ROW_PRODUCT_TILE_COLUMNS));
    if (columnTiles > DeviceLaunch.MAX_GRID_Y)
      throw new IllegalArgumentException(
          "a row must have at most "
              + (long) DeviceLaunch.MAX_GRID_Y * RowProductsLaunch.ROW_PRODUCT_TILE_COLUMNS
              + " columns on a device, found "
              + columns);
    long numParts = ceilDiv(depth, RowProductsLaunch.ROW_PRODUCT_PART);
    long partsBytes = Float.BYTES * numParts * rows * columns;
    boolean isCut =
        numParts > 1
            && numParts <= DeviceLaunch.MAX_GRID_Y
            && (long) rowTiles * columnTiles < wantedBlocks
            && partsBytes <= MAX_PARTS_BYTES;
    KernelArguments packed =
        RowProductsLaunch.rowProductExtras(
            stream.arguments().of(arguments), isCut ? parts.address(partsBytes) : 0);
    kernel.launch(
        stream,
        rowTiles,
        columnTiles,
        isCut ? (int) numParts : 1,
        RowProductsLaunch.ROW_PRODUCT_THREADS,
        0,
        packed);
    if (!isCut) return;
    int blocks = elements.blocksOfOne(rows * columns);
    merge.launch(stream, blocks, 1, 1, ElementGrid.BLOCK, 0, packed);
  }

  private static long ceilDiv(long a, long b) {
    return (a + b - 1) / b;
  }
}
