package org.winnow;

import java.util.List;
import org.winnow.attention.AttentionOptions;
import org.winnow.attention.KvCache;
import org.winnow.attention.Rope;
import org.winnow.moe.Activation;
import org.winnow.moe.ExpertMatrices;
import org.winnow.moe.ExpertPlan;
import org.winnow.moe.GroupedGemm;
import org.winnow.moe.Routing;
import org.winnow.moe.TopKRouter;

/**
 * Where operations run. One method per operation, called by the operation's class after it has
 * checked the arguments; a backend checks nothing again. Safe for use from several threads.
 */
public abstract class Backend implements AutoCloseable {
  /**
   * Opens the backend of that name.
   *
   * @throws BackendUnavailableException with the reason if it cannot run here; another one is never
   *     taken instead
   */
  public static Backend require(String name) {
    return Backends.installed().require(name);
  }

  /**
   * Opens the preferred backend of those that can run here, and logs one line to the {@link
   * System.Logger} {@code org.winnow}: which it is, and why not those that are preferred to it.
   *
   * @throws BackendUnavailableException with all reasons if none can run here
   */
  public static Backend best() {
    return Backends.installed().best(System.getLogger("org.winnow"));
  }

  /** What {@link #require} and {@link #best} choose from, the preferred first. */
  public static List<BackendProvider> providers() {
    return Backends.installed().providers();
  }

  /** Short name, as {@link #require} takes it: {@code "cpu"}. */
  public abstract String name();

  /** One line for logs and {@code winnow doctor}: what it runs on. */
  public abstract String description();

  /**
   * Where the tensors of its operations lie, and the objects that hold tensors for them.
   *
   * <p>What an operation writes there is complete for whatever is issued on the same backend or
   * read through the tensor afterwards; a device's operations may still be running when they
   * return.
   */
  public abstract TensorMemory memory();

  /** A new tensor of zeros in {@link #memory()}. */
  public final Tensor allocate(DType dtype, long... shape) {
    return Tensor.allocate(memory(), dtype, shape);
  }

  /** A new f32 tensor of zeros in {@link #memory()}. */
  public final Tensor f32(long... shape) {
    return allocate(DType.F32, shape);
  }

  /** A new f32 tensor in {@link #memory()} with these values. */
  public final Tensor of(float[] values, long... shape) {
    return Tensor.of(memory(), values, shape);
  }

  /** A new i32 tensor in {@link #memory()} with these values. */
  public final Tensor of(int[] values, long... shape) {
    return Tensor.of(memory(), values, shape);
  }

  /** A new tensor in {@link #memory()} of the same type, shape and elements. */
  public final Tensor copyOf(Tensor source) {
    return Tensor.copyOf(memory(), source);
  }

  /**
   * Captures a step, for instance the decoding of one token, to run it again with less work for the
   * host. Only what its operations do on the device is captured: the step's other effects, on
   * caches' lengths or the program's own variables, happen now and not in {@link CapturedStep#run}.
   *
   * <p>The captured operations do not run now. Whatever waits for the device, allocates or releases
   * its memory or copies to or from the host is refused within the step; run it once before, so
   * that what it needs is there. The tensors that it uses must stay open as long as the captured
   * step. Other threads' operations wait until the step is captured: it must not wait for one of
   * these threads, and is refused to close anything and a layer that one of them is using.
   *
   * @throws UnsupportedOperationException unless {@link #canCapture()}
   * @throws IllegalStateException if the step does what cannot be captured
   */
  public CapturedStep capture(Runnable step) {
    throw new UnsupportedOperationException(
        "backend " + name() + " captures no steps: call the operations each time");
  }

  /** Whether {@link #capture} is supported: on a device, whose host would be the slower one. */
  public boolean canCapture() {
    return false;
  }

  /** What {@link #expertPlan} returns where it has not waited for the device. */
  public static final int NOT_WAITED = Integer.MIN_VALUE;

  /** What {@link #topKRouterWithPlan} returns where it has done nothing. */
  public static final long NOT_FUSED = Long.MIN_VALUE;

  /** See {@link org.winnow.layer.Add}. */
  public abstract void add(Tensor accumulator, Tensor addend);

  /** See {@link org.winnow.attention.Attention}. */
  public abstract void attention(
      Tensor query,
      KvCache cache,
      int layer,
      long firstPosition,
      AttentionOptions options,
      Tensor output);

  /** See {@link org.winnow.layer.Clamp}. */
  public abstract void clamp(Tensor values, float limit);

  /**
   * See {@link org.winnow.layer.Embedding}. Returns -1, or the index of the first token id outside
   * the table: nothing is written then.
   */
  public abstract long embedding(Tensor table, Tensor tokenIds, Tensor output);

  /**
   * See {@link org.winnow.moe.ExpertPlan}. Returns the number of active experts, or {@link
   * #NOT_WAITED}: it is then that of the entries of {@link ExpertPlan#activeExperts()} before the
   * first -1; or below 0 what {@code expert_plan.h} says is refused.
   */
  public abstract long expertPlan(Routing routing, ExpertPlan plan);

  /** See {@link org.winnow.moe.MoeCombine}. */
  public abstract void moeCombine(
      Tensor expertOutput,
      Routing routing,
      ExpertPlan plan,
      Tensor shared,
      Tensor sharedGateLogits,
      Tensor output);

  /**
   * See {@link org.winnow.moe.GroupedGemm}. Products none of which reads what another writes; a
   * device may compute them in one launch. Without offsets, expert 0 has as many rows as both input
   * and output hold. Entries of -1 among the active experts are none.
   *
   * @return the first active expert of a product that has rows and no weights, or -1 when done; a
   *     backend that does not wait for its device fills the rows of such an expert with NaN and
   *     returns -1
   */
  public abstract int groupedGemm(GroupedGemm.Product... products);

  /** The same for one product: overridden where a call is not to allocate. */
  public int groupedGemm(
      Tensor input,
      Tensor sourceRows,
      Tensor expertOffsets,
      Tensor activeExperts,
      int numActive,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    return groupedGemm(
        new GroupedGemm.Product(
            input,
            sourceRows,
            expertOffsets,
            activeExperts,
            numActive,
            weights,
            activation,
            output));
  }

  /**
   * Writes columns of new tokens' rows into a cache: what {@link KvCache#append} is made of. See
   * {@code kv_append.h}.
   *
   * @param values whether values are written, not keys
   */
  public abstract void kvAppend(
      Tensor source,
      long sourceOffset,
      long tokenStride,
      long headStride,
      KvCache cache,
      int layer,
      boolean values,
      int column,
      int width,
      int numTokens);

  /** See {@link org.winnow.layer.LayerNorm}. */
  public abstract void layerNorm(
      Tensor input, Tensor weight, Tensor bias, Tensor output, float epsilon);

  /** See {@link org.winnow.layer.RmsNorm}. */
  public abstract void rmsNorm(Tensor input, Tensor weight, Tensor output, float epsilon);

  /** See {@link org.winnow.attention.Rope}. */
  public abstract void rope(
      Tensor values, Tensor cos, Tensor sin, int rotaryOffset, Rope.Layout layout);

  /**
   * See {@link org.winnow.layer.Sampler}. Returns the token, or -1 - i for the first logit i that
   * is refused.
   */
  public abstract long sample(
      Tensor logits, double temperature, int topK, double topP, double uniform);

  /** See {@link org.winnow.attention.StridedCopy}. */
  public abstract void stridedCopy(
      Tensor source,
      long sourceOffset,
      long sourceOuter,
      long sourceInner,
      Tensor destination,
      long destinationOffset,
      long destinationOuter,
      long destinationInner,
      long outerSize,
      long innerSize,
      long width);

  /**
   * See {@link org.winnow.moe.TopKRouter}. Returns the number of token-expert pairs, or -1 - the
   * first token whose logits are refused.
   */
  public abstract long topKRouter(Tensor logits, TopKRouter router, Routing output);

  /**
   * {@link #topKRouter} and {@link #expertPlan} of its choices at once, on a device that does this
   * faster for a few tokens. The plan has room for topK rows per token.
   *
   * @return as topKRouter, the plan then being {@link #NOT_WAITED}; or {@link #NOT_FUSED}: this
   *     batch takes the two operations
   */
  public long topKRouterWithPlan(
      Tensor logits, TopKRouter router, Routing output, ExpertPlan plan) {
    return NOT_FUSED;
  }

  /** Waits for running operations, then releases the threads or the device. May be called twice. */
  @Override
  public abstract void close();
}
