package org.winnow.cuda;

import org.winnow.Tensor;
import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/** Launches top_k_router_cuda.cu: a warp per token; with the expert plan in one block if few. */
final class CudaTopKRouter {
  private static final int WARP = 32;
  private static final int ROUTING_WARPS = 4; // tokens per block
  private static final int OFFSETS_BLOCK = 1024;
  private static final int CLOSE_UP_WARPS = 8;

  // what top_k_router_plan takes: its first warp makes the offsets, and ranks 32 pairs at a time
  private static final int MAX_PLANNED_TOKENS = 32;
  private static final int MAX_PLANNED_PAIRS = 1024;
  private static final int MAX_PLANNING_WARPS = 8;

  /** Shared memory of a block on every architecture that there are kernels for. */
  private static final int MAX_SHARED_BYTES = 96 << 10;

  private final CudaContext context;
  private final Kernel fixed;
  private final Kernel ragged;
  private final Kernel offsets;
  private final Kernel closeUp;
  private final Kernel plan;
  private final ReadBack status; // RouterStatus: i32 refused, i32 rows
  private final Scratch choices; // [numTokens * topK] ids, then as many weights
  private final LateRefusals late; // of captured steps

  CudaTopKRouter(CudaContext context, CudaMemory memory, LateRefusals late) {
    this.context = context;
    fixed = context.kernel("top_k_router", "top_k_router_fixed");
    ragged = context.kernel("top_k_router", "top_k_router_ragged");
    offsets = context.kernel("top_k_router", "top_k_router_offsets");
    closeUp = context.kernel("top_k_router", "top_k_router_close_up");
    plan = context.kernel("top_k_router", "top_k_router_plan");
    status = new ReadBack(context, memory, 1);
    this.late = late;
    choices = new Scratch(context, memory);
  }

  /** Returns what {@code Backend.topKRouter} does. */
  long launch(CudaStream stream, Tensor logits, TopKRouter router, Routing routing) {
    if (logits.dim(0) == 0) return 0;
    requireCapturable(router);
    int numTokens = (int) logits.dim(0);
    int topK = router.topK(logits.dim(1));
    int warpBytes = warpScratchBytes(logits, router);
    int warps = Math.min(ROUTING_WARPS, Math.max(1, (MAX_SHARED_BYTES / 2) / warpBytes));
    requireShared(logits, (long) warps * warpBytes);
    KernelArguments arguments = router(stream, logits, router);
    if (router.choosesFixedNumber()) {
      routing(arguments, routing);
      launchPerToken(stream, fixed, numTokens, warps, warpBytes, arguments);
    } else {
      long pairs = (long) numTokens * topK;
      long ids = choices.address(2 * pairs * Integer.BYTES);
      long weights = ids + pairs * Integer.BYTES;
      arguments
          .address(routing.tokenOffsets().address())
          .address(ids)
          .address(weights)
          .address(statusAddress());
      launchPerToken(stream, ragged, numTokens, warps, warpBytes, arguments);
      arguments
          .begin()
          .address(routing.tokenOffsets().address())
          .i64(numTokens)
          .address(statusAddress());
      offsets.launch(stream, 1, 1, 1, OFFSETS_BLOCK, 0, arguments);
      routing(arguments.begin().address(ids).address(weights), routing).i64(numTokens).i64(topK);
      launchPerToken(stream, closeUp, numTokens, CLOSE_UP_WARPS, 0, arguments);
    }
    return result(stream, router, numTokens, topK);
  }

  /** Whether {@link #launchWithPlan} takes this batch. */
  boolean canPlan(Tensor logits, TopKRouter router) {
    long pairs = logits.dim(0) * router.topK(logits.dim(1));
    return logits.dim(0) > 0
        && logits.dim(0) <= MAX_PLANNED_TOKENS
        && pairs <= MAX_PLANNED_PAIRS
        && planBytes(logits, router, 1) <= MAX_SHARED_BYTES;
  }

  /** As {@link #launch}, with the plan of the routing. */
  long launchWithPlan(
      CudaStream stream, Tensor logits, TopKRouter router, Routing routing, ExpertPlan target) {
    requireCapturable(router);
    int numTokens = (int) logits.dim(0);
    // four warps at least: they share the loops over experts and pairs
    int warps = Math.max(4, Math.min(numTokens, MAX_PLANNING_WARPS));
    while (warps > 1 && planBytes(logits, router, warps) > MAX_SHARED_BYTES) warps /= 2;
    KernelArguments arguments =
        routing(router(stream, logits, router), routing)
            .address(target.expertOffsets().address())
            .address(target.sourceRows().address())
            .address(target.assignmentRows().address())
            .address(target.activeExperts().address());
    plan.launch(stream, 1, 1, 1, warps * WARP, (int) planBytes(logits, router, warps), arguments);
    return result(stream, router, numTokens, router.topK(logits.dim(1)));
  }

  private void requireCapturable(TopKRouter router) {
    if (!router.choosesFixedNumber())
      context.refuseInCapture("routing by a rule that varies the number of experts per token");
  }

  /** Waits, but in a capture: what is refused then is of {@link LateRefusals}. */
  private long result(CudaStream stream, TopKRouter router, int numTokens, int topK) {
    if (context.isCapturing()) return (long) numTokens * topK;
    status.read(stream);
    int refused = status.getInt(0);
    if (refused != 0) {
      status.clear(stream);
      return -1 - firstRefused(refused);
    }
    return router.choosesFixedNumber()
        ? (long) numTokens * topK
        : status.getLong(0) >>> Integer.SIZE;
  }

  /** The kernels keep the largest of INT32_MAX - token, so that 0 is none. */
  static int firstRefused(int refused) {
    return Integer.MAX_VALUE - refused;
  }

  private long statusAddress() {
    return context.isCapturing() ? late.routerAddress() : status.address(0);
  }

  private static void launchPerToken(
      CudaStream stream,
      Kernel kernel,
      int numTokens,
      int warps,
      int warpBytes,
      KernelArguments arguments) {
    int blocks = (int) (((long) numTokens + warps - 1) / warps);
    kernel.launch(stream, blocks, 1, 1, warps * WARP, warps * warpBytes, arguments);
  }

  /** WarpScratch of route_token.cuh. */
  private static int warpScratchBytes(Tensor logits, TopKRouter router) {
    long topK = router.topK(logits.dim(1));
    long words =
        logits.dim(1) + router.numExpertGroups() + Math.max(topK, router.topKGroups()) + 2 * topK;
    long bytes = (words + 1) / 2 * 8;
    requireShared(logits, bytes);
    return (int) bytes;
  }

  private static void requireShared(Tensor logits, long bytes) {
    if (bytes > MAX_SHARED_BYTES)
      throw new IllegalArgumentException(
          "logits must have fewer experts: routing to "
              + logits.dim(1)
              + " takes "
              + bytes
              + " bytes of shared memory, of "
              + MAX_SHARED_BYTES);
  }

  private static long planBytes(Tensor logits, TopKRouter router, int warps) {
    long pairs = logits.dim(0) * router.topK(logits.dim(1));
    long words = 5 * pairs + logits.dim(1) + MAX_PLANNED_TOKENS + 1; // PlanScratch
    return (long) warps * warpScratchBytes(logits, router) + words * Integer.BYTES;
  }

  /** The fields of Router, in its order. */
  private static KernelArguments router(CudaStream stream, Tensor logits, TopKRouter router) {
    Tensor bias = router.correctionBias();
    return stream
        .arguments()
        .begin()
        .address(logits.address())
        .address(bias == null ? 0 : bias.address())
        .i64(logits.dim(0))
        .i32((int) logits.dim(1))
        .i32(router.score().ordinal())
        .i32(router.topK(logits.dim(1)))
        .i32(router.minExperts())
        .i32(router.numExpertGroups())
        .i32(router.topKGroups())
        .i32(router.groupScore().ordinal())
        .i32(router.renormalises() ? 1 : 0)
        .i32(router.emptyPolicy() == TopKRouter.EmptyPolicy.FALLBACK_TOP1 ? 1 : 0)
        .f32(router.scalingFactor())
        .f32(router.threshold())
        .f32(router.topP())
        .f32(router.minP())
        .f32(router.skipBelow());
  }

  /** The fields of Routing. */
  private KernelArguments routing(KernelArguments arguments, Routing routing) {
    return arguments
        .address(routing.tokenOffsets().address())
        .address(routing.expertIds().address())
        .address(routing.routingWeights().address())
        .address(statusAddress());
  }
}
