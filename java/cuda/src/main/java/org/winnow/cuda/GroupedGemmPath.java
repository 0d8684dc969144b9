package org.winnow.cuda;

/**
 * Which of its two kernels a grouped GEMM takes. Within one path the bits depend on no other row.
 */
public enum GroupedGemmPath {
  /**
   * Tiles from {@value CudaGroupedGemm#MIN_AVERAGE_ROWS} rows per expert on, on average over as
   * many of the layer's experts as there are rows; dot products below. So the size of the batch
   * decides, and neither which experts it chose nor how many fit at once.
   */
  AUTOMATIC,
  /** One dot product per row and column, which reads the weights again for every row. */
  GEMV,
  /** Tiles of 64 rows, which read the weights once for all rows of a tile. */
  TILES
}
