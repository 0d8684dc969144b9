package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemGetInfo;

import org.bytedeco.javacpp.SizeTPointer;
import org.winnow.Backend;
import org.winnow.BackendUnavailableException;
import org.winnow.CapturedStep;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;
import org.winnow.op.Rope;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * Handwritten kernels on one NVIDIA GPU. Operations are enqueued and return; what gives a value to
 * the host waits for it.
 *
 * <p>An error that takes the device's context away, an access outside of an allocation for
 * instance, makes the backend unusable: every later call throws a {@link CudaException} that says
 * which call found it.
 */
public final class CudaBackend extends Backend {
  static final String NAME = "cuda";

  private final CudaContext context;
  private final CudaMemory memory;
  private final CudaAdd add;
  private final CudaAttention attention;
  private final CudaClamp clamp;
  private final CudaEmbedding embedding;
  private final CudaExpertPlan expertPlan;
  private final CudaGroupedGemm groupedGemm;
  private final CudaKvAppend kvAppend;
  private final CudaLayerNorm layerNorm;
  private final CudaMoeCombine moeCombine;
  private final CudaRmsNorm rmsNorm;
  private final CudaRope rope;
  private final CudaSampler sampler;
  private final CudaStridedCopy stridedCopy;
  private final CudaTopKRouter topKRouter;

  /** What the driver needs beside tensors, for kernels, graphs and rounding: of the free memory. */
  private static final double RESERVE_SHARE = 1 / 16.0;

  /** The first device, and nearly all of its memory that is free now. */
  public CudaBackend() {
    this(0, Long.MAX_VALUE);
  }

  /**
   * @param device its {@link CudaDevice#ordinal}
   * @param budgetBytes the most that tensors on it may take; no more than 15/16 of what is free
   *     now: kernels, graphs and the driver's rounding take room beside them
   * @throws BackendUnavailableException with the reason if it cannot run the kernels
   * @throws IllegalArgumentException if there is no such device, or the budget is negative
   */
  public CudaBackend(int device, long budgetBytes) {
    this(device, budgetBytes, GroupedGemmPath.AUTOMATIC);
  }

  /**
   * As {@link #CudaBackend(int, long)}, with one path for grouped products: the same bits whatever
   * the batch.
   */
  public CudaBackend(int device, long budgetBytes, GroupedGemmPath groupedGemmPath) {
    if (budgetBytes < 0)
      throw new IllegalArgumentException("budgetBytes must not be negative, found " + budgetBytes);
    var devices = CudaDevice.all();
    if (device < 0 || device >= devices.size())
      throw new IllegalArgumentException(
          "device must lie in [0, " + devices.size() + "), found " + device);
    String cause = devices.get(device).unsuitability();
    if (cause != null) throw new BackendUnavailableException(NAME, cause);
    context = new CudaContext(devices.get(device));
    CudaMemory opened = null;
    try {
      opened = new CudaMemory(context, Math.min(budgetBytes, availableBytes()));
      memory = opened;
      add = new CudaAdd(context);
      attention = new CudaAttention(context, memory);
      clamp = new CudaClamp(context);
      LateRefusals late = new LateRefusals(context, memory);
      embedding = new CudaEmbedding(context, memory, late);
      expertPlan = new CudaExpertPlan(context, memory, late);
      groupedGemm = new CudaGroupedGemm(context, groupedGemmPath);
      kvAppend = new CudaKvAppend(context);
      layerNorm = new CudaLayerNorm(context);
      moeCombine = new CudaMoeCombine(context);
      rmsNorm = new CudaRmsNorm(context);
      rope = new CudaRope(context);
      sampler = new CudaSampler(context, memory, late);
      stridedCopy = new CudaStridedCopy(context);
      topKRouter = new CudaTopKRouter(context, memory, late);
    } catch (RuntimeException | Error e) {
      context.close(opened);
      throw e;
    }
  }

  private long availableBytes() {
    try (var entry = context.enter("opening");
        SizeTPointer free = new SizeTPointer(1);
        SizeTPointer total = new SizeTPointer(1)) {
      context.check(cuMemGetInfo(free, total), "cuMemGetInfo");
      return free.get() - (long) (free.get() * RESERVE_SHARE);
    }
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return context.device().toString();
  }

  /** What it runs on. */
  public CudaDevice device() {
    return context.device();
  }

  @Override
  public TensorMemory memory() {
    return memory;
  }

  /** The most that tensors on the device may take. */
  public long budgetBytes() {
    return memory.budgetBytes();
  }

  /** What they take now. */
  public long usedBytes() {
    return memory.usedBytes();
  }

  /**
   * A CUDA graph; other threads' operations wait until the step is captured. What a run of it is
   * refused, a token id outside of its table for instance, is thrown by the next {@link
   * org.winnow.op.Sampler#sample}.
   */
  @Override
  public CapturedStep capture(Runnable step) {
    return CudaGraph.capture(context, step);
  }

  @Override
  public boolean canCapture() {
    return true;
  }

  @Override
  public void add(Tensor accumulator, Tensor addend) {
    try (var entry = context.enter("add")) {
      add.launch(entry.stream(), accumulator, addend);
    }
  }

  @Override
  public void attention(
      Tensor query,
      KvCache cache,
      int layer,
      long firstPosition,
      AttentionOptions options,
      Tensor output) {
    try (var entry = context.enter("attention")) {
      attention.launch(entry.stream(), query, cache, layer, firstPosition, options, output);
    }
  }

  @Override
  public void clamp(Tensor values, float limit) {
    try (var entry = context.enter("clamp")) {
      clamp.launch(entry.stream(), values, limit);
    }
  }

  @Override
  public long embedding(Tensor table, Tensor tokenIds, Tensor output) {
    try (var entry = context.enter("embedding")) {
      return embedding.launch(entry.stream(), table, tokenIds, output);
    }
  }

  @Override
  public long expertPlan(Routing routing, ExpertPlan plan) {
    try (var entry = context.enter("expertPlan")) {
      return expertPlan.launch(entry.stream(), routing, plan);
    }
  }

  @Override
  public void moeCombine(
      Tensor expertOutput,
      Routing routing,
      ExpertPlan plan,
      Tensor shared,
      Tensor sharedGateLogits,
      Tensor output) {
    try (var entry = context.enter("moeCombine")) {
      moeCombine.launch(
          entry.stream(), expertOutput, routing, plan, shared, sharedGateLogits, output);
    }
  }

  @Override
  public int groupedGemm(GroupedGemm.Product... products) {
    try (var entry = context.enter("groupedGemm")) {
      groupedGemm.launch(entry.stream(), products);
    }
    return -1; // the op class has asked which experts are resident
  }

  @Override
  public void kvAppend(
      Tensor source,
      long sourceOffset,
      long tokenStride,
      long headStride,
      KvCache cache,
      int layer,
      boolean values,
      int column,
      int width,
      int numTokens) {
    try (var entry = context.enter("kvAppend")) {
      kvAppend.launch(
          entry.stream(),
          source.address() + sourceOffset * Float.BYTES,
          tokenStride,
          headStride,
          cache,
          layer,
          values,
          column,
          width,
          numTokens);
    }
  }

  @Override
  public void layerNorm(Tensor input, Tensor weight, Tensor bias, Tensor output, float epsilon) {
    try (var entry = context.enter("layerNorm")) {
      layerNorm.launch(entry.stream(), input, weight, bias, output, epsilon);
    }
  }

  @Override
  public void rmsNorm(Tensor input, Tensor weight, Tensor output, float epsilon) {
    try (var entry = context.enter("rmsNorm")) {
      rmsNorm.launch(entry.stream(), input, weight, output, epsilon);
    }
  }

  @Override
  public void rope(Tensor values, Tensor cos, Tensor sin, int rotaryOffset, Rope.Layout layout) {
    try (var entry = context.enter("rope")) {
      rope.launch(entry.stream(), values, cos, sin, rotaryOffset, layout);
    }
  }

  @Override
  public long sample(Tensor logits, double temperature, int topK, double topP, double uniform) {
    try (var entry = context.enter("sample")) {
      return sampler.launch(entry.stream(), logits, temperature, topK, topP, uniform);
    }
  }

  @Override
  public void stridedCopy(
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
      long width) {
    try (var entry = context.enter("stridedCopy")) {
      stridedCopy.launch(
          entry.stream(),
          source.address() + sourceOffset * Float.BYTES,
          sourceOuter,
          sourceInner,
          destination.address() + destinationOffset * Float.BYTES,
          destinationOuter,
          destinationInner,
          outerSize,
          innerSize,
          width);
    }
  }

  @Override
  public long topKRouter(Tensor logits, TopKRouter router, Routing output) {
    try (var entry = context.enter("topKRouter")) {
      return topKRouter.launch(entry.stream(), logits, router, output);
    }
  }

  @Override
  public long topKRouterWithPlan(
      Tensor logits, TopKRouter router, Routing output, ExpertPlan plan) {
    try (var entry = context.enter("topKRouterWithPlan")) {
      return topKRouter.canPlan(logits, router)
          ? topKRouter.launchWithPlan(entry.stream(), logits, router, output, plan)
          : NOT_FUSED;
    }
  }

  CudaContext context() {
    return context;
  }

  @Override
  public void close() {
    context.close(memory);
  }
}
