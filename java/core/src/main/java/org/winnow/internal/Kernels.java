package org.winnow.internal;

/**
 * What a backend computes: the operations of the contracts, unchecked, and the pairs of them that a
 * device does better at once. Safe for use from several threads.
 */
public interface Kernels extends Operations {
  /**
   * {@link #topKRouter} and then {@link #expertPlan} of its choices in one launch, on a device that
   * does this faster for a few tokens. The plan has room for topK rows per token.
   *
   * @return the router's status, or null where this backend or this batch takes the two operations:
   *     nothing has been done then. After {@link Status#DONE} the plan's number is not known yet
   */
  default Status topKRouterWithPlan(TopKRouterArguments router, ExpertPlanArguments plan) {
    return null;
  }
}
