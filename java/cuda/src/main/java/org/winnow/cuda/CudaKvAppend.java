package org.winnow.cuda;

import java.util.ArrayList;
import java.util.List;
import org.winnow.DType;
import org.winnow.internal.KvAppendArguments;

/**
 * Launches kv_append_cuda.cu with one thread per element, or per four elements if alignment allows
 * it.
 */
final class CudaKvAppend {
  private final List<Kernel> one = new ArrayList<>(); // by the number of the element type
  private final List<Kernel> four = new ArrayList<>();
  private final ElementGrid grid;

  CudaKvAppend(CudaContext context) {
    for (DType element : List.of(DType.F32, DType.BF16, DType.F16)) {
      one.add(context.kernel("kv_append", "kv_append_" + element));
      four.add(context.kernel("kv_append", "kv_append_" + element + "x4"));
    }
    grid = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, KvAppendArguments arguments) {
    // pages begin at multiples of 16 bytes, planes in them at multiples of 64 rows
    boolean vector = ElementGrid.isVector(arguments.source(), arguments.width());
    long threads =
        arguments.numTokens()
            * arguments.numHeads()
            * (arguments.width() / (vector ? ElementGrid.VECTOR : 1));
    if (threads == 0) return;
    (vector ? four : one)
        .get(arguments.element())
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
