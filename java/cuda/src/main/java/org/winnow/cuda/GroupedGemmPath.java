package org.winnow.cuda;

/**
 * Which of its two kernels a grouped GEMM takes. Within one path the bits depend on no other row.
 */
public enum GroupedGemmPath {
  /**
   * Tiles from {@value CudaGroupedGemm#MIN_AVERAGE_ROWS} rows per active expert on, on average; dot
   * products below.
   */
  AUTOMATIC,
  /** One dot product per row and column, which reads the weights again for every row. */
  GEMV,
  /** Tiles of 64 rows, which read the weights once for all rows of a tile. */
  TILES
}
