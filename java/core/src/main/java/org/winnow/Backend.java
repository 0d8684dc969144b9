package org.winnow;

import org.winnow.moe.Activation;
import org.winnow.moe.ExpertMatrices;
import org.winnow.moe.ExpertPlan;
import org.winnow.moe.Routing;
import org.winnow.moe.TopKRouter;

/**
 * Where operations run. One method per operation, called by the operation's class after it has checked the arguments; a backend checks nothing
 * again. Safe for use from several threads.
 */
public abstract class Backend implements AutoCloseable {
  /** Short name, as {@link #require} takes it: {@code "cpu"}. */
  public abstract String name();

  /** One line for logs and {@code winnow doctor}: what it runs on. */
  public abstract String description();

  /** See {@link org.winnow.moe.ExpertPlan}. Returns the number of active experts, or below 0 what {@code expert_plan.h} says. */
  public abstract long expertPlan(Routing routing, ExpertPlan plan);

  /** See {@link org.winnow.moe.MoeCombine}. */
  public abstract void moeCombine(
      Tensor expertOutput, Routing routing, ExpertPlan plan, Tensor shared, Tensor sharedGateLogits, Tensor output);

  /**
   * See {@link org.winnow.moe.GroupedGemm}. Without offsets, expert 0 has as many rows as both input and output hold.
   *
   * @return the first active expert that has rows and no weights, or -1 when done
   */
  public abstract int groupedGemm(
      Tensor input, Tensor sourceRows, Tensor expertOffsets, Tensor activeExperts, int numActive, ExpertMatrices weights, Activation activation, Tensor output);

  /** See {@link org.winnow.layer.RmsNorm}. */
  public abstract void rmsNorm(Tensor input, Tensor weight, Tensor output, float epsilon);

  /** See {@link org.winnow.moe.TopKRouter}. Returns -1, or the first token whose logits are refused. */
  public abstract long topKRouter(Tensor logits, TopKRouter router, Routing output);

  /** Waits for running operations, then releases the threads or the device. May be called twice. */
  @Override
  public abstract void close();
}
