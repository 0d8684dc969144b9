package org.winnow.cuda;

/** Launches strided_copy_cuda.cu: a thread per element, or per four where all allows it. */
final class CudaStridedCopy {
  private final Kernel one;
  private final Kernel four;
  private final ElementGrid grid;

  CudaStridedCopy(CudaContext context) {
    one = context.kernel("strided_copy", "strided_copy_f32");
    four = context.kernel("strided_copy", "strided_copy_f32x4");
    grid = new ElementGrid(context.device());
  }

  /** Addresses are those of the first elements; strides count f32. */
  void launch(
      CudaStream stream,
      long source,
      long sourceOuter,
      long sourceInner,
      long destination,
      long destinationOuter,
      long destinationInner,
      long outerSize,
      long innerSize,
      long width) {
    boolean vector =
        ElementGrid.isVector(
            source | destination,
            sourceOuter | sourceInner | destinationOuter | destinationInner | width);
    int unit = vector ? ElementGrid.VECTOR : 1;
    (vector ? four : one)
        .launch(
            stream,
            grid.blocksOfOne(outerSize * innerSize * (width / unit)),
            1,
            1,
            ElementGrid.BLOCK,
            0,
            stream
                .arguments()
                .begin()
                .address(source)
                .i64(sourceOuter / unit)
                .i64(sourceInner / unit)
                .address(destination)
                .i64(destinationOuter / unit)
                .i64(destinationInner / unit)
                .i64(outerSize)
                .i64(innerSize)
                .i64(width / unit));
  }
}
