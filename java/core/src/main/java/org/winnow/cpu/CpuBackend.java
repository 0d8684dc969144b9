package org.winnow.cpu;

import org.winnow.Backend;
import org.winnow.BackendUnavailableException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.attention.AttentionOptions;
import org.winnow.attention.KvCache;
import org.winnow.attention.Rope;
import org.winnow.internal.NativeCalls;
import org.winnow.internal.NativeCpu;
import org.winnow.internal.NativeLoader;
import org.winnow.moe.Activation;
import org.winnow.moe.ExpertMatrices;
import org.winnow.moe.ExpertPlan;
import org.winnow.moe.GroupedGemm;
import org.winnow.moe.Routing;
import org.winnow.moe.TopKRouter;

/** Handwritten SIMD kernels on a team of threads of its own. */
public final class CpuBackend extends Backend {
  /** More than any machine has processors. */
  public static final int MAX_THREADS = 1024;

  /** As {@link Backend#require} takes it. */
  public static final String NAME = "cpu";

  private final InstructionSet instructionSet;
  private final int numThreads;
  private final long cpu;
  private volatile boolean closed;

  /** The widest instruction set and as many threads as the machine has processors. */
  public CpuBackend() {
    this(InstructionSet.best(), Math.min(Runtime.getRuntime().availableProcessors(), MAX_THREADS));
  }

  /**
   * @param numThreads the caller of an operation counts as one
   * @throws IllegalArgumentException if this machine does not run the instruction set, or {@code
   *     numThreads} is not in [1, {@link #MAX_THREADS}]
   * @throws BackendUnavailableException if the system refuses so many threads
   */
  public CpuBackend(InstructionSet instructionSet, int numThreads) {
    if (!instructionSet.isSupported()) {
      throw new IllegalArgumentException(
          "instructionSet must be supported by this machine (up to "
              + InstructionSet.best()
              + "), found "
              + instructionSet);
    }
    if (numThreads < 1 || numThreads > MAX_THREADS)
      throw new IllegalArgumentException(
          "numThreads must lie in [1, " + MAX_THREADS + "], found " + numThreads);
    NativeLoader.load();
    this.instructionSet = instructionSet;
    this.numThreads = numThreads;
    try {
      this.cpu = NativeCpu.cpu_open(instructionSet.ordinal(), numThreads);
    } catch (RuntimeException e) { // how every native exception arrives
      throw new BackendUnavailableException(
          NAME, numThreads + " threads cannot be started: " + e.getMessage());
    }
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return NAME
        + ": "
        + instructionSet
        + ", "
        + numThreads
        + (numThreads == 1 ? " thread" : " threads");
  }

  public InstructionSet instructionSet() {
    return instructionSet;
  }

  public int numThreads() {
    return numThreads;
  }

  @Override
  public TensorMemory memory() {
    return TensorMemory.host();
  }

  @Override
  public void add(Tensor accumulator, Tensor addend) {
    NativeCpu.add_cpu(accumulator.address(), addend.address(), accumulator.size(), handle());
  }

  @Override
  public void attention(
      Tensor query,
      KvCache cache,
      int layer,
      long firstPosition,
      AttentionOptions options,
      Tensor output) {
    NativeCpu.attention_cpu(
        query.address(),
        row(cache.keyPages(), layer),
        row(cache.valuePages(), layer),
        addressOrNull(options.sinks()),
        output.address(),
        query.dim(0),
        firstPosition,
        query.dim(1),
        cache.numKvHeads(),
        cache.keyWidth(),
        cache.valueWidth(),
        cache.valueRowStride(),
        KvCache.PAGE_TOKENS,
        options.slidingWindow(),
        options.scale(),
        handle());
  }

  @Override
  public void clamp(Tensor values, float limit) {
    NativeCpu.clamp_cpu(values.address(), values.size(), limit, handle());
  }

  @Override
  public long embedding(Tensor table, Tensor tokenIds, Tensor output) {
    return NativeCpu.embedding_cpu(
        table.address(),
        table.dtype().code(),
        tokenIds.address(),
        output.address(),
        tokenIds.dim(0),
        table.dim(0),
        table.dim(1),
        handle());
  }

  @Override
  public long expertPlan(Routing routing, ExpertPlan plan) {
    handle();
    return NativeCpu.expert_plan_cpu(
        routing.tokenOffsets().address(),
        routing.expertIds().address(),
        plan.expertOffsets().address(),
        plan.sourceRows().address(),
        plan.assignmentRows().address(),
        plan.activeExperts().address(),
        routing.numTokens(),
        routing.numRows(),
        plan.numExperts());
  }

  @Override
  public void moeCombine(
      Tensor expertOutput,
      Routing routing,
      ExpertPlan plan,
      Tensor shared,
      Tensor sharedGateLogits,
      Tensor output) {
    NativeCpu.moe_combine_cpu(
        expertOutput.address(),
        routing.tokenOffsets().address(),
        plan.assignmentRows().address(),
        routing.routingWeights().address(),
        addressOrNull(shared),
        addressOrNull(sharedGateLogits),
        output.address(),
        output.dtype().code(),
        output.dim(0),
        plan.numRows(),
        output.dim(1),
        handle());
  }

  @Override
  public int groupedGemm(GroupedGemm.Product... products) {
    for (GroupedGemm.Product product : products) {
      int absent =
          groupedGemm(
              product.input(),
              product.sourceRows(),
              product.expertOffsets(),
              product.activeExperts(),
              product.numActive(),
              product.weights(),
              product.activation(),
              product.output());
      if (absent >= 0) return absent;
    }
    return -1;
  }

  @Override
  public int groupedGemm(
      Tensor input,
      Tensor sourceRows,
      Tensor expertOffsets,
      Tensor activeExperts,
      int numActive,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    long numRows = Math.min(output.dim(0), sourceRows == null ? input.dim(0) : sourceRows.dim(0));
    return (int)
        NativeCpu.grouped_gemm_cpu(
            input.address(),
            input.dtype().code(),
            addressOrNull(sourceRows),
            weights.weightTable(),
            weights.upTable(),
            weights.weightType().code(),
            weights.biasTable(),
            weights.upBiasTable(),
            addressOrNull(expertOffsets),
            addressOrNull(activeExperts),
            activation.code(),
            output.address(),
            output.dtype().code(),
            input.dim(0),
            numRows,
            weights.numExperts(),
            numActive,
            input.dim(1),
            output.dim(1),
            handle());
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
    NativeCpu.kv_append_cpu(
        source.address() + sourceOffset * Float.BYTES,
        tokenStride,
        headStride,
        row(values ? cache.valuePages() : cache.keyPages(), layer),
        cache.length(),
        numTokens,
        cache.numKvHeads(),
        KvCache.PAGE_TOKENS,
        values ? cache.valueRowStride() : cache.keyWidth(),
        column,
        width,
        handle());
  }

  @Override
  public void layerNorm(Tensor input, Tensor weight, Tensor bias, Tensor output, float epsilon) {
    NativeCpu.layer_norm_cpu(
        input.address(),
        weight.address(),
        addressOrNull(bias),
        output.address(),
        input.dim(0),
        input.dim(1),
        epsilon,
        handle());
  }

  @Override
  public void rmsNorm(Tensor input, Tensor weight, Tensor output, float epsilon) {
    NativeCpu.rms_norm_cpu(
        input.address(),
        weight.address(),
        output.address(),
        input.dim(0),
        input.dim(1),
        input.dim(1),
        epsilon,
        handle());
  }

  @Override
  public void rope(Tensor values, Tensor cos, Tensor sin, int rotaryOffset, Rope.Layout layout) {
    NativeCpu.rope_cpu(
        values.address(),
        cos.address(),
        sin.address(),
        values.dim(0),
        values.dim(1),
        values.dim(2),
        rotaryOffset,
        cos.dim(1),
        layout == Rope.Layout.INTERLEAVED,
        handle());
  }

  @Override
  public long sample(Tensor logits, double temperature, int topK, double topP, double uniform) {
    handle();
    return NativeCpu.sampler_cpu(logits.address(), logits.dim(0), temperature, topK, topP, uniform);
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
    NativeCpu.strided_copy_cpu(
        source.address() + sourceOffset * Float.BYTES,
        sourceOuter,
        sourceInner,
        destination.address() + destinationOffset * Float.BYTES,
        destinationOuter,
        destinationInner,
        outerSize,
        innerSize,
        width,
        handle());
  }

  @Override
  public long topKRouter(Tensor logits, TopKRouter router, Routing output) {
    return NativeCpu.top_k_router_cpu(
        logits.address(),
        addressOrNull(router.correctionBias()),
        output.tokenOffsets().address(),
        output.expertIds().address(),
        output.routingWeights().address(),
        logits.dim(0),
        logits.dim(1),
        router.score().ordinal(),
        router.topK(logits.dim(1)),
        router.minExperts(),
        router.numExpertGroups(),
        router.topKGroups(),
        router.groupScore().ordinal(),
        router.renormalises(),
        router.scalingFactor(),
        router.threshold(),
        router.emptyPolicy() == TopKRouter.EmptyPolicy.FALLBACK_TOP1,
        router.topP(),
        router.minP(),
        router.skipBelow(),
        handle());
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) return;
      closed = true;
    }
    NativeCalls.awaitRunning();
    NativeCpu.cpu_close(cpu);
  }

  /** The native context, for calls from this package. */
  long handle() {
    if (closed) throw new IllegalStateException("backend cpu is closed");
    return cpu;
  }

  private static long addressOrNull(Tensor tensor) {
    return tensor == null ? 0 : tensor.address();
  }

  /** Address of a row of a matrix. */
  private static long row(Tensor matrix, long index) {
    return matrix.address() + index * matrix.dim(1) * matrix.dtype().sizeBytes();
  }
}
