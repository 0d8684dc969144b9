package org.winnow.cuda;

import org.winnow.Tensor;

/** Launches embedding_cuda.cu: a row of blocks per token; many token ids are checked before. */
final class CudaEmbedding {
  private static final int BLOCK = 128;
  private static final int VECTOR_BYTES = 16; // what a thread reads at once
  private static final int MAX_COLUMN_BLOCKS = 65_535; // grid y
  private static final int MAX_CHECKED_BY_ALL = 512; // four ids per thread
  private static final int CHECK_BLOCK = 1024;

  private final CudaContext context;
  private final Kernel check;
  private final Kernel f32;
  private final Kernel bf16;
  private final Kernel f16;
  private final ReadBack refused;
  private final LateRefusals late; // of captured steps

  CudaEmbedding(CudaContext context, CudaMemory memory, LateRefusals late) {
    this.context = context;
    check = context.kernel("embedding", "embedding_check");
    f32 = context.kernel("embedding", "embedding_f32");
    bf16 = context.kernel("embedding", "embedding_bf16");
    f16 = context.kernel("embedding", "embedding_f16");
    refused = new ReadBack(context, memory, 1);
    this.late = late;
  }

  /** Returns what {@code Backend.embedding} does. */
  long launch(CudaStream stream, Tensor table, Tensor tokenIds, Tensor output) {
    long numTokens = tokenIds.dim(0);
    if (numTokens == 0) return -1;
    boolean checkHere = numTokens <= MAX_CHECKED_BY_ALL;
    KernelArguments arguments =
        stream
            .arguments()
            .begin()
            .address(table.address())
            .address(tokenIds.address())
            .address(output.address())
            .address(context.isCapturing() ? late.embeddingAddress() : refused.address(0))
            .i64(numTokens)
            .i64(table.dim(0))
            .i64(table.dim(1))
            .i64(checkHere ? 1 : 0);
    if (!checkHere) check.launch(stream, 1, 1, 1, CHECK_BLOCK, 0, arguments);
    long rowBytes = table.dim(1) * table.dtype().sizeBytes();
    long columnBlocks = rowBytes / (BLOCK * VECTOR_BYTES) + 1;
    kernel(table)
        .launch(
            stream,
            (int) numTokens,
            (int) Math.min(columnBlocks, MAX_COLUMN_BLOCKS),
            1,
            BLOCK,
            0,
            arguments);
    if (context.isCapturing()) return -1;
    refused.read(stream);
    int found = refused.getInt(0);
    if (found == 0) return -1;
    refused.clear(stream);
    return firstWrong(found);
  }

  /** The kernels keep the largest of INT32_MAX - index, so that 0 is none. */
  static int firstWrong(int refused) {
    return Integer.MAX_VALUE - refused;
  }

  private Kernel kernel(Tensor table) {
    switch (table.dtype()) {
      case F32:
        return f32;
      case BF16:
        return bf16;
      default:
        return f16;
    }
  }
}
