package org.winnow.internal;

import org.jspecify.annotations.Nullable;

/**
 * The kernels of a backend: one method per operation, without argument checks, plus fused pairs of
 * operations that are faster together on a device. Safe for use from several threads.
 */
public interface Kernels extends Operations {
  /**
   * Runs {@link #topKRouter}, then {@link #expertPlan} on its choices, in one call, on a device in
   * one launch. The plan must have room for topK rows per token.
   *
   * @return the router's status, or null if this backend does not fuse the two for this batch;
   *     nothing has run then. After {@link Status#DONE} the CPU has told the plan its number of
   *     rows, and the detail is the number of active experts. A device does not know the latter
   *     yet, and the detail is the number of rows
   */
  default @Nullable Status topKRouterWithPlan(
      TopKRouterArguments router, ExpertPlanArguments plan) {
    return null;
  }

  /**
   * How many parallel regions the calling thread has run so far: parts of an operation that several
   * threads share and whose end they wait for. A device has none.
   */
  default long numRegions() {
    return 0;
  }
}
