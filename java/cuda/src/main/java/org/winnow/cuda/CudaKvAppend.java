package org.winnow.cuda;

import org.winnow.internal.KvAppendArguments;

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

  void launch(CudaStream stream, KvAppendArguments arguments) {
    // pages begin at multiples of 16 bytes, keys and values in them at multiples of 64 rows
    boolean vector =
        ElementGrid.isVector(
            arguments.source(),
            arguments.tokenStride()
                | arguments.headStride()
                | arguments.rowStride()
                | arguments.column()
                | arguments.width());
    long threads =
        arguments.numTokens()
            * arguments.numHeads()
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
