package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.address;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Status;
import org.winnow.internal.TopKRouterArguments;

/** Calls of {@link TopKRouter}: checks, arguments and launch, while the routing is locked. */
final class TopKRouterCall {
  private TopKRouterCall() {}

  /** {@link TopKRouter#run(Backend, Tensor, Routing)}. */
  static void run(TopKRouterOptions options, Backend backend, Tensor logits, Routing output) {
    output.lock.lock();
    try {
      runLocked(options, backend, logits, output);
    } finally {
      output.lock.unlock();
    }
  }

  /** {@link TopKRouter#run(Backend, Tensor, Routing, ExpertPlan)}. */
  static void run(
      TopKRouterOptions options, Backend backend, Tensor logits, Routing output, ExpertPlan plan) {
    output.lock.lock();
    try {
      runLocked(options, backend, logits, output, plan);
    } finally {
      output.lock.unlock();
    }
  }

  private static void runLocked(
      TopKRouterOptions options, Backend backend, Tensor logits, Routing output) {
    int numTokens = reserve(options, logits, output);
    NativeCall call = NativeCall.enter();
    try {
      check(options, backend, logits, output);
      TopKRouterArguments arguments = describe(options, call, logits, output);
      requireAccepted(Internals.kernels(backend).topKRouter(arguments), arguments);
      output.set(numTokens, (int) arguments.detail());
    } finally {
      call.exit();
      Reference.reachabilityFence(logits);
      Reference.reachabilityFence(output);
    }
  }

  private static void runLocked(
      TopKRouterOptions options, Backend backend, Tensor logits, Routing output, ExpertPlan plan) {
    int numTokens = reserve(options, logits, output);
    int numExperts = (int) logits.dim(1);
    int maxRows = numTokens * options.topK(numExperts);
    plan.reserve(maxRows, numExperts);
    NativeCall call = NativeCall.enter();
    try {
      check(options, backend, logits, output);
      plan.requireOpen();
      plan.requireIn(backend.memory());
      TopKRouterArguments arguments = describe(options, call, logits, output);
      ExpertPlanArguments planned = call.arguments().expertPlan;
      plan.describe(output, numTokens, maxRows, numExperts, planned);
      @Nullable Status status = Internals.kernels(backend).topKRouterWithPlan(arguments, planned);
      if (status != null) {
        requireAccepted(status, arguments);
        if (backend.memory().isHost()) {
          output.set(numTokens, (int) planned.numRows());
          plan.set(output, (int) planned.detail());
        } else {
          output.set(numTokens, (int) arguments.detail());
          plan.setNotReadBack(output);
        }
        return;
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(logits);
      Reference.reachabilityFence(output);
      Reference.reachabilityFence(plan);
    }
    runLocked(options, backend, logits, output);
    plan.build(backend, output, numExperts);
  }

  private static int reserve(TopKRouterOptions options, Tensor logits, Routing output) {
    logits.require("logits", F32, ANY, ANY);
    int numTokens = Math.toIntExact(logits.dim(0));
    options.requireExperts(logits.dim(1));
    output.reserve(numTokens, Math.multiplyExact(numTokens, options.topK(logits.dim(1))));
    return numTokens;
  }

  private static void check(
      TopKRouterOptions options, Backend backend, Tensor logits, Routing output) {
    TensorMemory memory = backend.memory();
    logits.requireIn("logits", memory);
    output.requireOpen();
    output.requireIn(memory);
    options.requireBias(logits.dim(1), memory);
  }

  private static TopKRouterArguments describe(
      TopKRouterOptions options, NativeCall call, Tensor logits, Routing output) {
    long logitsAddress = address(logits); // required before the call, which another thread may beat
    long tokenOffsets = address(output.tokenOffsets());
    long expertIds = address(output.expertIds());
    long routingWeights = address(output.routingWeights());
    TopKRouterArguments arguments =
        call.arguments()
            .topKRouter
            .logits(logitsAddress)
            .tokenOffsets(tokenOffsets)
            .expertIds(expertIds)
            .routingWeights(routingWeights)
            .numTokens(logits.dim(0))
            .numExperts(logits.dim(1));
    options.describe(logits.dim(1), arguments);
    return arguments;
  }

  private static void requireAccepted(Status status, TopKRouterArguments arguments) {
    if (status == Status.REFUSED) throw new InvalidLogitsException(arguments.detail());
  }
}
