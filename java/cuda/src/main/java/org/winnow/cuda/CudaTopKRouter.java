package org.winnow.cuda;

import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.NativeCodes;
import org.winnow.internal.Status;
import org.winnow.internal.TopKRouterArguments;

/** Launches top_k_router_cuda.cu: a warp per token; with the expert plan in one block if few. */
final class CudaTopKRouter {
  private static final int ROUTING_WARPS = 4; // tokens per block
  private static final int CLOSE_UP_WARPS = 8;

  private final CudaContext context;
  private final Kernel fixed;
  private final Kernel ragged;
  private final Kernel offsets;
  private final Kernel closeUp;
  private final Kernel plan;
  private final ReadBack status; // RouterStatus
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

  /** Waits, but in a capture. */
  Status launch(CudaStream stream, TopKRouterArguments arguments) {
    if (arguments.numTokens() == 0) {
      arguments.detail(0);
      return Status.DONE;
    }
    requireCapturable(arguments);
    int warpBytes = warpScratchBytes(arguments);
    int warps =
        Math.min(ROUTING_WARPS, Math.max(1, (TopKRouterLaunch.MAX_ROUTING_BYTES / 2) / warpBytes));
    requireShared(arguments, (long) warps * warpBytes);
    if (choosesFixedNumber(arguments)) {
      KernelArguments packed =
          TopKRouterLaunch.routerExtras(
              stream.arguments().of(arguments),
              arguments.expertIds(),
              arguments.routingWeights(),
              statusAddress());
      launchPerToken(stream, fixed, arguments, warps, warpBytes, packed);
    } else {
      long pairs = arguments.numTokens() * arguments.topK();
      long ids = choices.address(2 * pairs * Integer.BYTES);
      long weights = ids + pairs * Integer.BYTES;
      KernelArguments packed =
          TopKRouterLaunch.routerExtras(
              stream.arguments().of(arguments), ids, weights, statusAddress());
      launchPerToken(stream, ragged, arguments, warps, warpBytes, packed);
      offsets.launch(stream, 1, 1, 1, TopKRouterLaunch.ROUTER_OFFSETS_THREADS, 0, packed);
      launchPerToken(stream, closeUp, arguments, CLOSE_UP_WARPS, 0, packed);
    }
    return result(stream, arguments);
  }

  /** Whether {@link #launchWithPlan} takes this batch. */
  static boolean canPlan(TopKRouterArguments arguments) {
    return arguments.numTokens() > 0
        && arguments.numTokens() <= TopKRouterLaunch.MAX_PLANNED_TOKENS
        && arguments.numTokens() * arguments.topK() <= TopKRouterLaunch.MAX_PLANNED_PAIRS
        && planBytes(arguments, 1) <= TopKRouterLaunch.MAX_ROUTING_BYTES;
  }

  /** As {@link #launch}, with the plan of the routing. */
  Status launchWithPlan(
      CudaStream stream, TopKRouterArguments arguments, ExpertPlanArguments target) {
    requireCapturable(arguments);
    // four warps at least: they share the loops over experts and pairs
    int warps =
        (int) Math.max(4, Math.min(arguments.numTokens(), TopKRouterLaunch.MAX_PLANNING_WARPS));
    while (warps > 1 && planBytes(arguments, warps) > TopKRouterLaunch.MAX_ROUTING_BYTES)
      warps /= 2;
    KernelArguments packed =
        TopKRouterLaunch.routerExtras(
            stream.arguments().of(arguments).struct(target),
            arguments.expertIds(),
            arguments.routingWeights(),
            statusAddress());
    int threads = warps * DeviceLaunch.WARP_SIZE;
    plan.launch(stream, 1, 1, 1, threads, (int) planBytes(arguments, warps), packed);
    return result(stream, arguments);
  }

  /** Whether every token gets topK experts, whatever its logits. */
  private static boolean choosesFixedNumber(TopKRouterArguments arguments) {
    boolean isShare =
        arguments.score() == NativeCodes.ROUTER_SCORE_SOFTMAX
            || arguments.score() == NativeCodes.ROUTER_SCORE_SIGMOID;
    return isShare && arguments.topP() == 0 && arguments.minP() == 0 && arguments.skipBelow() == 0;
  }

  private void requireCapturable(TopKRouterArguments arguments) {
    if (!choosesFixedNumber(arguments))
      context.refuseInCapture("routing by a rule that varies the number of experts per token");
  }

  /** Waits, but in a capture: what is refused then is of {@link LateRefusals}. */
  private Status result(CudaStream stream, TopKRouterArguments arguments) {
    arguments.detail(arguments.numTokens() * arguments.topK());
    if (context.isCapturing()) return Status.DONE;
    status.read(stream);
    int refused = status.getInt(0, TopKRouterLaunch.ROUTER_STATUS_REFUSED_OFFSET);
    if (refused != 0) {
      status.clear(stream);
      arguments.detail(firstRefused(refused));
      return Status.REFUSED;
    }
    if (!choosesFixedNumber(arguments))
      arguments.detail(status.getInt(0, TopKRouterLaunch.ROUTER_STATUS_NUM_ROWS_OFFSET));
    return Status.DONE;
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
      TopKRouterArguments arguments,
      int warps,
      int warpBytes,
      KernelArguments packed) {
    int blocks = Math.toIntExact((arguments.numTokens() + warps - 1) / warps);
    int threads = warps * DeviceLaunch.WARP_SIZE;
    kernel.launch(stream, blocks, 1, 1, threads, warps * warpBytes, packed);
  }

  private static int warpScratchBytes(TopKRouterArguments arguments) {
    long bytes =
        TopKRouterLaunch.warpScratchBytes(
            arguments.numExperts(),
            arguments.numExpertGroups(),
            arguments.topK(),
            arguments.topKGroups());
    requireShared(arguments, bytes);
    return (int) bytes;
  }

  private static void requireShared(TopKRouterArguments arguments, long bytes) {
    if (bytes > TopKRouterLaunch.MAX_ROUTING_BYTES)
      throw new IllegalArgumentException(
          "logits must have fewer experts: routing to "
              + arguments.numExperts()
              + " takes "
              + bytes
              + " bytes of shared memory, of "
              + TopKRouterLaunch.MAX_ROUTING_BYTES);
  }

  private static long planBytes(TopKRouterArguments arguments, int warps) {
    long pairs = arguments.numTokens() * arguments.topK();
    return (long) warps * warpScratchBytes(arguments)
        + TopKRouterLaunch.planScratchBytes(pairs, arguments.numExperts());
  }
}
