package org.winnow.cuda;

/** Kernel of a grouped GEMM. With one fixed kernel, a row's bits do not depend on other rows. */
public enum GroupedGemmPath {
  /**
   * Tiles if the average number of rows per expert is at least {@value
   * CudaGroupedGemm#MIN_AVERAGE_ROWS}, otherwise dot products. The average is taken over all
   * experts of the layer, or over as many as there are rows if that is less. So only the size of
   * the batch decides, not the choice of experts or the number of experts that can be acquired at
   * once.
   */
  AUTOMATIC,
  /** One dot product per row and column, which reads the weights for every row. */
  GEMV,
  /** Tiles of 64 rows, which read the weights once for all rows of a tile. */
  TILES
}
