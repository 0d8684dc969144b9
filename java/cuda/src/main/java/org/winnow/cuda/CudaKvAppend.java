package org.winnow.cuda;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.internal.KvAppendArguments;

/**
 * Launches kv_append_cuda.cu with one thread per element, or per four elements if alignment allows
 * it, once for two planes whose kernel is the same.
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

  void launch(CudaStream stream, KvAppendArguments first) {
    KvAppendArguments second = first.next();
    if (second == null || kernel(first) == kernel(second)) {
      launch(stream, first, second);
    } else {
      launch(stream, first, null);
      launch(stream, second, null);
    }
  }

  private void launch(
      CudaStream stream, KvAppendArguments first, @Nullable KvAppendArguments second) {
    int firstBlocks = blocks(first);
    int blocks = firstBlocks + (second == null ? 0 : blocks(second));
    if (blocks == 0) return;
    kernel(first)
        .launch(
            stream,
            blocks,
            1,
            1,
            ElementGrid.BLOCK,
            0,
            stream.arguments().ofLinked(first, second, firstBlocks));
  }

  private Kernel kernel(KvAppendArguments arguments) {
    return (isVector(arguments) ? four : one).get(arguments.element());
  }

  private int blocks(KvAppendArguments arguments) {
    return grid.blocksOfOne(
        arguments.numTokens()
            * arguments.numHeads()
            * (arguments.width() / (isVector(arguments) ? ElementGrid.VECTOR : 1)));
  }

  /** Pages begin at multiples of 16 bytes, planes in them at multiples of 64 rows. */
  private static boolean isVector(KvAppendArguments arguments) {
    return ElementGrid.isVector(arguments.source(), arguments.width());
  }
}
