package org.winnow.cuda;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;

/** Launches moe_combine_cuda.cu: a row of blocks per token. */
final class CudaMoeCombine {
  private static final int BLOCK = 128;
  private static final int COLUMNS_PER_BLOCK = 4 * BLOCK;
  private static final int MAX_COLUMN_BLOCKS = 65_535; // grid y

  private final Kernel f32;
  private final Kernel bf16;

  CudaMoeCombine(CudaContext context) {
    f32 = context.kernel("moe_combine", "moe_combine_f32");
    bf16 = context.kernel("moe_combine", "moe_combine_bf16");
  }

  void launch(
      CudaStream stream,
      Tensor expertOutput,
      Routing routing,
      ExpertPlan plan,
      Tensor shared,
      Tensor sharedGateLogits,
      Tensor output) {
    long numTokens = output.dim(0);
    long hiddenSize = output.dim(1);
    if (numTokens == 0 || hiddenSize == 0) return;
    long columnBlocks = (hiddenSize + COLUMNS_PER_BLOCK - 1) / COLUMNS_PER_BLOCK;
    Kernel kernel = output.dtype() == DType.BF16 ? bf16 : f32;
    kernel.launch(
        stream,
        (int) numTokens,
        (int) Math.min(columnBlocks, MAX_COLUMN_BLOCKS),
        1,
        BLOCK,
        0,
        stream
            .arguments()
            .begin()
            .address(expertOutput.address())
            .address(routing.tokenOffsets().address())
            .address(plan.assignmentRows().address())
            .address(routing.routingWeights().address())
            .address(shared == null ? 0 : shared.address())
            .address(sharedGateLogits == null ? 0 : sharedGateLogits.address())
            .address(output.address())
            .i64(hiddenSize));
  }
}
