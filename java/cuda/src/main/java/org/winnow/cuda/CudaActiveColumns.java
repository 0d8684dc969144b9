package org.winnow.cuda;

import org.winnow.internal.ActiveColumnsArguments;
import org.winnow.internal.NativeCodes;
import org.winnow.internal.Status;

/** Launches active_columns_cuda.cu with one block of threads per block of columns. */
final class CudaActiveColumns {
  private final CudaContext context;
  private final Kernel topK;
  private final Kernel threshold;
  private final ReadBack refused;
  private final LateRefusals late; // for captured steps

  CudaActiveColumns(CudaContext context, CudaMemory memory, LateRefusals late) {
    this.context = context;
    topK = context.kernel("active_columns", "active_columns_top_k");
    threshold = context.kernel("active_columns", "active_columns_threshold");
    refused = new ReadBack(context, memory, 1);
    this.late = late;
  }

  /** Waits for the result, except in a capture. Then {@link LateRefusals} reports errors. */
  Status launch(CudaStream stream, ActiveColumnsArguments arguments) {
    if (arguments.numTokens() == 0) return Status.DONE;
    boolean capturing = context.isCapturing();
    boolean byTopK = arguments.rule() == NativeCodes.COLUMN_RULE_TOP_K;
    long blocks = byTopK ? arguments.numColumns() / arguments.blockSize() : 1;
    KernelArguments packed =
        ActiveColumnsLaunch.activeColumnsExtras(
            stream.arguments().of(arguments),
            capturing ? late.routerAddress() : refused.address(0));
    (byTopK ? topK : threshold)
        .launch(
            stream,
            Math.toIntExact(arguments.numTokens() * blocks),
            1,
            1,
            ActiveColumnsLaunch.ACTIVE_COLUMNS_THREADS,
            0,
            packed);
    if (capturing) return Status.DONE;
    refused.read(stream);
    int found = refused.getInt(0);
    if (found == 0) return Status.DONE;
    refused.clear(stream);
    arguments.detail(CudaTopKRouter.firstRefused(found));
    return Status.REFUSED;
  }
}
