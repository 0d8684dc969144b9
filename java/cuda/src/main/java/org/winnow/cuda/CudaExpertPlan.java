package org.winnow.cuda;

import org.winnow.Backend;
import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;

/** Launches expert_plan_cuda.cu: one block for few pairs, else count, offsets, place. */
final class CudaExpertPlan {
  private static final int WARP = 32;
  private static final int MAX_SMALL_PAIRS = 2048;
  private static final int SMALL_BLOCK = 256;
  private static final int COUNT_BLOCK = 256;
  private static final int OFFSETS_BLOCK = 1024;
  private static final int MAX_PLACE_WARPS = 8;
  private static final int MIN_PAIRS_PER_BLOCK = 2048;
  private static final int MAX_BLOCKS = 256; // one block sums numExperts times as many counts

  private static final int MAX_SHARED_BYTES = 48 << 10;

  private final CudaContext context;
  private final Kernel small;
  private final Kernel count;
  private final Kernel offsets;
  private final Kernel place;
  private final ReadBack refused;
  private final LateRefusals late; // of plans that are not waited for
  private final Scratch blockCounts;

  CudaExpertPlan(CudaContext context, CudaMemory memory, LateRefusals late) {
    this.context = context;
    small = context.kernel("expert_plan", "expert_plan_small");
    count = context.kernel("expert_plan", "expert_plan_count");
    offsets = context.kernel("expert_plan", "expert_plan_offsets");
    place = context.kernel("expert_plan", "expert_plan_place");
    refused = new ReadBack(context, memory, 1);
    this.late = late;
    blockCounts = new Scratch(context, memory);
  }

  /** Returns what {@code Backend.expertPlan} does; waits only to check a caller's own routing. */
  long launch(CudaStream stream, Routing routing, ExpertPlan plan) {
    int numRows = routing.numRows();
    int numExperts = plan.numExperts();
    int countBytes = numExperts * Integer.BYTES;
    if (countBytes > MAX_SHARED_BYTES / 2)
      throw new IllegalArgumentException(
          "numExperts must be at most "
              + MAX_SHARED_BYTES / 2 / Integer.BYTES
              + " on this backend, found "
              + numExperts);
    if (numRows <= MAX_SMALL_PAIRS) {
      arguments(stream, routing, plan, 0, numRows, 1);
      int sharedBytes = 3 * numRows * Integer.BYTES + countBytes;
      small.launch(stream, 1, 1, 1, SMALL_BLOCK, sharedBytes, stream.arguments());
    } else {
      int warps = MAX_PLACE_WARPS;
      while (warps * countBytes > MAX_SHARED_BYTES) warps /= 2;
      int pairsPerBlock = Math.max(MIN_PAIRS_PER_BLOCK, ceilDiv(numRows, MAX_BLOCKS));
      pairsPerBlock = ceilDiv(pairsPerBlock, MAX_PLACE_WARPS * WARP) * MAX_PLACE_WARPS * WARP;
      int blocks = ceilDiv(numRows, pairsPerBlock);
      long counts = blockCounts.address((numExperts + 1L) * blocks * Integer.BYTES);
      arguments(stream, routing, plan, counts, pairsPerBlock, blocks);
      count.launch(stream, blocks, 1, 1, COUNT_BLOCK, countBytes, stream.arguments());
      offsets.launch(stream, 1, 1, 1, OFFSETS_BLOCK, 0, stream.arguments());
      place.launch(stream, blocks, 1, 1, warps * WARP, warps * countBytes, stream.arguments());
    }
    if (!isWaitedFor(routing)) return Backend.NOT_WAITED;
    refused.read(stream);
    int found = refused.getInt(0);
    if (found == 0) return Backend.NOT_WAITED;
    refused.clear(stream);
    return -1 - (areOffsetsWrong(found) ? numRows : firstWrong(found));
  }

  /** Whether the host checks the routing now; else what is wrong is of {@link LateRefusals}. */
  private boolean isWaitedFor(Routing routing) {
    return !routing.isRouted() && !context.isCapturing();
  }

  static boolean areOffsetsWrong(int refused) {
    return refused == Integer.MAX_VALUE;
  }

  /** The kernels keep the largest of INT32_MAX - 1 - pair, so that 0 is none. */
  static int firstWrong(int refused) {
    return Integer.MAX_VALUE - 1 - refused;
  }

  /** The fields of ExpertPlan in expert_plan_cuda.cu. */
  private void arguments(
      CudaStream stream,
      Routing routing,
      ExpertPlan plan,
      long counts,
      int pairsPerBlock,
      int blocks) {
    stream
        .arguments()
        .begin()
        .address(routing.tokenOffsets().address())
        .address(routing.expertIds().address())
        .address(plan.expertOffsets().address())
        .address(plan.sourceRows().address())
        .address(plan.assignmentRows().address())
        .address(plan.activeExperts().address())
        .address(counts)
        .address(isWaitedFor(routing) ? refused.address(0) : late.planAddress())
        .i64(routing.numTokens())
        .i32(routing.numRows())
        .i32(plan.numExperts())
        .i32(pairsPerBlock)
        .i32(blocks);
  }

  private static int ceilDiv(int a, int b) {
    return (int) (((long) a + b - 1) / b);
  }
}
