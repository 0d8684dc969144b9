package org.winnow.op;

import static org.winnow.DType.BF16;
import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.address;
import static org.winnow.internal.Internals.argument;
import static org.winnow.internal.Internals.argumentOrNull;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.MoeCombineArguments;
import org.winnow.internal.NativeCall;

/**
 * Adds up the weighted outputs of each token's experts.
 *
 * <pre>{@code
 * output[t, i] = sum_p routingWeights[p] * expertOutput[assignmentRows[p], i]
 *              + sigmoid(sharedGateLogits[t]) * shared[t, i]
 * for p in [tokenOffsets[t], tokenOffsets[t + 1])
 * }</pre>
 *
 * The sum runs in f32 in ascending order of p, then the shared term, and is rounded once. A token
 * gets the same bits in any batch and with any instruction set. Native contract: {@code
 * moe_combine.h}.
 */
public final class MoeCombine {
  private MoeCombine() {}

  /**
   * @param expertOutput [at least numRows, hiddenSize] f32, rows sorted by expert
   * @param routing the router's choices
   * @param plan built from this routing
   * @param shared [numTokens, hiddenSize] f32, the output of the shared experts, or null for none
   * @param sharedGateLogits [numTokens, 1] f32, or null to add shared with weight 1
   * @param output [numTokens, hiddenSize] f32 or bf16, overwritten; must not overlap the inputs
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor, the routing, the plan or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor expertOutput,
      Routing routing,
      ExpertPlan plan,
      @Nullable Tensor shared,
      @Nullable Tensor sharedGateLogits,
      Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      routing.requireOpen();
      plan.requireOpen();
      routing.requireIn(memory);
      plan.requireIn(memory);
      // Asked once, and held against each other: another thread may fill either meanwhile.
      Tensor tokenOffsets = routing.tokenOffsets();
      Tensor routingWeights = routing.routingWeights();
      Tensor assignmentRows = plan.assignmentRows();
      int numTokens = routing.numTokens();
      int numRows = plan.numRows();
      if (numRows != routing.numRows()
          || plan.numTokens() != numTokens
          || tokenOffsets.size() <= numTokens
          || routingWeights.size() < numRows
          || assignmentRows.size() < numRows) {
        throw new IllegalArgumentException(
            "plan must be built from the routing, found " + plan + " and " + routing);
      }
      output.requireFloating("output", numTokens, ANY);
      output.requireIn("output", memory);
      if (output.dtype() != F32 && output.dtype() != BF16) {
        throw new IllegalArgumentException("output must be f32 or bf16, found " + output.dtype());
      }
      expertOutput.require("expertOutput", F32, ANY, output.dim(1));
      expertOutput.requireIn("expertOutput", memory);
      if (expertOutput.dim(0) < numRows) {
        throw new IllegalArgumentException(
            "expertOutput must have at least " + numRows + " rows, found " + expertOutput.dim(0));
      }
      output.requireDisjoint("output", "expertOutput", expertOutput);
      output.requireDisjoint("output", "routing", tokenOffsets);
      output.requireDisjoint("output", "routing", routingWeights);
      output.requireDisjoint("output", "plan", assignmentRows);
      if (shared != null) {
        shared.require("shared", F32, output.dim(0), output.dim(1));
        shared.requireIn("shared", memory);
        output.requireDisjoint("output", "shared", shared);
      }
      if (sharedGateLogits != null) {
        if (shared == null)
          throw new IllegalArgumentException(
              "sharedGateLogits must be null without shared, found " + sharedGateLogits);
        sharedGateLogits.require("sharedGateLogits", F32, output.dim(0), 1);
        sharedGateLogits.requireIn("sharedGateLogits", memory);
        output.requireDisjoint("output", "sharedGateLogits", sharedGateLogits);
      }
      long tokenOffsetsAddress = address(tokenOffsets);
      long assignmentRowsAddress = address(assignmentRows);
      long routingWeightsAddress = address(routingWeights);
      MoeCombineArguments arguments = call.arguments().moeCombine;
      arguments
          .expertOutput(argument(expertOutput))
          .tokenOffsets(tokenOffsetsAddress)
          .assignmentRows(assignmentRowsAddress)
          .routingWeights(routingWeightsAddress)
          .shared(argumentOrNull(shared))
          .sharedGateLogits(argumentOrNull(sharedGateLogits))
          .output(argument(output))
          .numTokens(output.dim(0))
          .numRows(numRows)
          .hiddenSize(output.dim(1))
          .outputType(output.dtype().code());
      Internals.kernels(backend).moeCombine(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(expertOutput);
      Reference.reachabilityFence(routing);
      Reference.reachabilityFence(plan);
      Reference.reachabilityFence(shared);
      Reference.reachabilityFence(sharedGateLogits);
      Reference.reachabilityFence(output);
    }
  }
}
