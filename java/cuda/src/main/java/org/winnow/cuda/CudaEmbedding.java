package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.DType;
import org.winnow.internal.EmbeddingArguments;
import org.winnow.internal.Status;

/** Launches embedding_cuda.cu: a row of blocks per token; many token ids are checked before. */
final class CudaEmbedding {
  private static final int BLOCK = 128;
  private static final int MAX_CHECKED_BY_ALL = 512; // four ids per thread

  private final CudaContext context;
  private final Kernel check;
  private final Map<Integer, Kernel> kernels = new HashMap<>(); // by the table's type
  private final ReadBack refused;
  private final LateRefusals late; // of captured steps

  CudaEmbedding(CudaContext context, CudaMemory memory, LateRefusals late) {
    this.context = context;
    check = context.kernel("embedding", "embedding_check");
    for (EmbeddingLaunch.Variant variant : EmbeddingLaunch.KERNELS)
      kernels.put(variant.tableType(), context.kernel("embedding", variant.name()));
    refused = new ReadBack(context, memory, 1);
    this.late = late;
  }

  /** Waits for the check of the token ids, but in a capture. */
  Status launch(CudaStream stream, EmbeddingArguments arguments) {
    long numTokens = arguments.numTokens();
    if (numTokens == 0) return Status.DONE;
    Kernel gather =
        Kernel.require(kernels.get(arguments.tableType()), "table type", arguments.tableType());
    boolean checkHere = numTokens <= MAX_CHECKED_BY_ALL;
    KernelArguments packed =
        EmbeddingLaunch.embeddingExtras(
            stream.arguments().of(arguments),
            context.isCapturing() ? late.embeddingAddress() : refused.address(0),
            checkHere ? 1 : 0);
    if (!checkHere)
      check.launch(stream, 1, 1, 1, EmbeddingLaunch.EMBEDDING_CHECK_THREADS, 0, packed);
    long rowBytes = arguments.hiddenSize() * DType.values()[arguments.tableType()].sizeBytes();
    long columnBlocks = rowBytes / (BLOCK * EmbeddingLaunch.EMBEDDING_VECTOR_BYTES) + 1;
    gather.launch(
        stream,
        (int) numTokens,
        (int) Math.min(columnBlocks, DeviceLaunch.MAX_GRID_Y),
        1,
        BLOCK,
        0,
        packed);
    if (context.isCapturing()) return Status.DONE;
    refused.read(stream);
    int found = refused.getInt(0);
    if (found == 0) return Status.DONE;
    refused.clear(stream);
    arguments.detail(firstWrong(found));
    return Status.REFUSED;
  }

  /** The kernels keep the largest of INT32_MAX - index, so that 0 is none. */
  static int firstWrong(int refused) {
    return Integer.MAX_VALUE - refused;
  }
}
