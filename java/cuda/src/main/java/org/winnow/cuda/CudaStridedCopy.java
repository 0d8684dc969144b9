package org.winnow.cuda;

import org.winnow.internal.StridedCopyArguments;

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

  void launch(CudaStream stream, StridedCopyArguments arguments) {
    boolean vector =
        ElementGrid.isVector(
            arguments.source() | arguments.destination(),
            arguments.sourceOuterStride()
                | arguments.sourceInnerStride()
                | arguments.destinationOuterStride()
                | arguments.destinationInnerStride()
                | arguments.width());
    long threads =
        arguments.outerSize()
            * arguments.innerSize()
            * (arguments.width() / (vector ? ElementGrid.VECTOR : 1));
    if (threads == 0) return;
    (vector ? four : one)
        .launch(
            stream,
            grid.blocksOfOne(threads),
            1,
            1,
            ElementGrid.BLOCK,
            0,
            stream.arguments().of(arguments));
  }
}
