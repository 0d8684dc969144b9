package org.winnow.cuda;

import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.Status;

/** Launches expert_plan_cuda.cu: one block for few pairs, else count, offsets, place. */
final class CudaExpertPlan {
  private static final int MIN_PAIRS_PER_BLOCK = 2048;
  private static final int MAX_BLOCKS = 256; // one block sums numExperts times as many counts
  private static final int MAX_SHARED_BYTES = DeviceLaunch.DEFAULT_SHARED_BYTES;

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

  /** Waits only to check a caller's own routing. */
  Status launch(CudaStream stream, ExpertPlanArguments arguments) {
    int numRows = Math.toIntExact(arguments.numRows());
    int numExperts = Math.toIntExact(arguments.numExperts());
    int countBytes = Math.toIntExact(ExpertPlanLaunch.countsBytes(numExperts));
    if (countBytes > MAX_SHARED_BYTES / 2)
      throw new IllegalArgumentException(
          "numExperts must be at most "
              + MAX_SHARED_BYTES / 2 / Integer.BYTES
              + " on this backend, found "
              + numExperts);
    if (numRows <= ExpertPlanLaunch.MAX_SMALL_PAIRS) {
      small.launch(
          stream,
          1,
          1,
          1,
          ExpertPlanLaunch.SMALL_THREADS,
          (int) ExpertPlanLaunch.smallPlanBytes(numRows, numExperts),
          packed(stream, arguments, 0, numRows, 1));
    } else {
      int warps = ExpertPlanLaunch.MAX_PLACE_WARPS;
      while (warps * countBytes > MAX_SHARED_BYTES) warps /= 2;
      int step = ExpertPlanLaunch.MAX_PLACE_WARPS * DeviceLaunch.WARP_SIZE;
      int pairsPerBlock = Math.max(MIN_PAIRS_PER_BLOCK, ceilDiv(numRows, MAX_BLOCKS));
      pairsPerBlock = ceilDiv(pairsPerBlock, step) * step;
      int blocks = ceilDiv(numRows, pairsPerBlock);
      long counts = blockCounts.address(ExpertPlanLaunch.blockCountsBytes(numExperts, blocks));
      KernelArguments packed = packed(stream, arguments, counts, pairsPerBlock, blocks);
      count.launch(stream, blocks, 1, 1, ExpertPlanLaunch.COUNT_THREADS, countBytes, packed);
      offsets.launch(stream, 1, 1, 1, ExpertPlanLaunch.OFFSETS_THREADS, 0, packed);
      int placeThreads = warps * DeviceLaunch.WARP_SIZE;
      place.launch(stream, blocks, 1, 1, placeThreads, warps * countBytes, packed);
    }
    if (!isWaitedFor(arguments)) return Status.NOT_WAITED;
    refused.read(stream);
    int found = refused.getInt(0);
    if (found == 0) return Status.NOT_WAITED; // how many experts are active is not read
    refused.clear(stream);
    arguments.detail(areOffsetsWrong(found) ? numRows : firstWrong(found));
    return Status.REFUSED;
  }

  /** Whether the host checks the routing now; else what is wrong is of {@link LateRefusals}. */
  private boolean isWaitedFor(ExpertPlanArguments arguments) {
    return arguments.trusted() == 0 && !context.isCapturing();
  }

  static boolean areOffsetsWrong(int refused) {
    return refused == ExpertPlanLaunch.OFFSETS_WRONG;
  }

  /** The kernels keep the largest of OFFSETS_WRONG - 1 - pair, so that 0 is none. */
  static int firstWrong(int refused) {
    return ExpertPlanLaunch.OFFSETS_WRONG - 1 - refused;
  }

  private KernelArguments packed(
      CudaStream stream,
      ExpertPlanArguments arguments,
      long counts,
      int pairsPerBlock,
      int blocks) {
    return ExpertPlanLaunch.expertPlanExtras(
        stream.arguments().of(arguments),
        counts,
        isWaitedFor(arguments) ? refused.address(0) : late.planAddress(),
        pairsPerBlock,
        blocks);
  }

  private static int ceilDiv(int a, int b) {
    return (int) (((long) a + b - 1) / b);
  }
}
