package org.winnow.cuda;

import org.winnow.op.KvCache;

/** Launches kv_append_cuda.cu: a thread per element, or per four where all allows it. */
final class CudaKvAppend {
  private final Kernel one;
  private final Kernel four;
  private final ElementGrid grid;

  CudaKvAppend(CudaContext context) {
    one = context.kernel("kv_append", "kv_append_f32");
    four = context.kernel("kv_append", "kv_append_f32x4");
    grid = new ElementGrid(context.device());
  }

  /**
   * @param source address of the first element; strides count f32
   */
  void launch(
      CudaStream stream,
      long source,
      long tokenStride,
      long headStride,
      KvCache cache,
      int layer,
      boolean values,
      int column,
      int width,
      int numTokens) {
    long rowStride = values ? cache.valueRowStride() : cache.keyWidth();
    // pages begin at multiples of 16 bytes, keys and values in them at multiples of 64 rows
    boolean vector =
        ElementGrid.isVector(source, tokenStride | headStride | rowStride | column | width);
    int unit = vector ? ElementGrid.VECTOR : 1;
    (vector ? four : one)
        .launch(
            stream,
            grid.blocksOfOne((long) numTokens * cache.numKvHeads() * (width / unit)),
            1,
            1,
            ElementGrid.BLOCK,
            0,
            stream
                .arguments()
                .begin()
                .address(source)
                .i64(tokenStride / unit)
                .i64(headStride / unit)
                .address(CudaAttention.pages(values ? cache.valuePages() : cache.keyPages(), layer))
                .address(cache.positionCell().address())
                .i64(0)
                .i64(numTokens)
                .i64(cache.numKvHeads())
                .i64(KvCache.PAGE_TOKENS)
                .i64(rowStride / unit)
                .i64(column / unit)
                .i64(width / unit));
  }
}
