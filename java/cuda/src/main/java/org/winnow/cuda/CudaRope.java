package org.winnow.cuda;

import org.winnow.Tensor;
import org.winnow.op.Rope;

/** Launches rope_cuda.cu: a thread per pair. */
final class CudaRope {
  private final Kernel kernel;
  private final ElementGrid grid;

  CudaRope(CudaContext context) {
    kernel = context.kernel("rope", "rope_f32");
    grid = new ElementGrid(context.device());
  }

  void launch(
      CudaStream stream,
      Tensor values,
      Tensor cos,
      Tensor sin,
      int rotaryOffset,
      Rope.Layout layout) {
    long pairs = values.dim(0) * values.dim(1) * cos.dim(1);
    if (pairs == 0) return;
    boolean aligned = (values.address() % 8 | values.dim(2) % 2 | rotaryOffset % 2) == 0;
    kernel.launch(
        stream,
        grid.blocksOfOne(pairs),
        1,
        1,
        ElementGrid.BLOCK,
        0,
        stream
            .arguments()
            .begin()
            .address(values.address())
            .address(cos.address())
            .address(sin.address())
            .i64(values.dim(0))
            .i64(values.dim(1))
            .i64(values.dim(2))
            .i64(rotaryOffset)
            .i64(cos.dim(1))
            .i32(layout == Rope.Layout.INTERLEAVED ? 1 : 0)
            .i32(aligned ? 1 : 0));
  }
}
