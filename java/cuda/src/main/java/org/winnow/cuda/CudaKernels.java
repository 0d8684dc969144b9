package org.winnow.cuda;

import org.jspecify.annotations.Nullable;
import org.winnow.internal.ActiveColumnsArguments;
import org.winnow.internal.AddArguments;
import org.winnow.internal.AttentionArguments;
import org.winnow.internal.ClampArguments;
import org.winnow.internal.EmbeddingArguments;
import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.Kernels;
import org.winnow.internal.KvAppendArguments;
import org.winnow.internal.LayerNormArguments;
import org.winnow.internal.ModularConvolutionArguments;
import org.winnow.internal.MoeCombineArguments;
import org.winnow.internal.MultiplicativeLayerArguments;
import org.winnow.internal.RmsNormArguments;
import org.winnow.internal.RopeArguments;
import org.winnow.internal.SamplerArguments;
import org.winnow.internal.SparseFfnArguments;
import org.winnow.internal.Status;
import org.winnow.internal.StridedCopyArguments;
import org.winnow.internal.ThresholdedLinearArguments;
import org.winnow.internal.TopKRouterArguments;

/** Enqueues the operations' kernels on the context's compute stream. */
final class CudaKernels implements Kernels {
  private final CudaContext context;
  private final CudaActiveColumns activeColumns;
  private final CudaAdd add;
  private final CudaAttention attention;
  private final CudaClamp clamp;
  private final CudaEmbedding embedding;
  private final CudaExpertPlan expertPlan;
  private final CudaGroupedGemm groupedGemm;
  private final CudaKvAppend kvAppend;
  private final CudaLayerNorm layerNorm;
  private final CudaModularConvolution modularConvolution;
  private final CudaMoeCombine moeCombine;
  private final CudaMultiplicativeLayer multiplicativeLayer;
  private final CudaRmsNorm rmsNorm;
  private final CudaRope rope;
  private final CudaSampler sampler;
  private final CudaSparseFfn sparseFfn;
  private final CudaStridedCopy stridedCopy;
  private final CudaThresholdedLinear thresholdedLinear;
  private final CudaTopKRouter topKRouter;

  CudaKernels(CudaContext context, CudaMemory memory, GroupedGemmPath groupedGemmPath) {
    this.context = context;
    LateRefusals late = new LateRefusals(context, memory);
    activeColumns = new CudaActiveColumns(context, memory, late);
    add = new CudaAdd(context);
    attention = new CudaAttention(context, memory);
    clamp = new CudaClamp(context);
    embedding = new CudaEmbedding(context, memory, late);
    expertPlan = new CudaExpertPlan(context, memory, late);
    groupedGemm = new CudaGroupedGemm(context, groupedGemmPath);
    kvAppend = new CudaKvAppend(context);
    layerNorm = new CudaLayerNorm(context);
    modularConvolution = new CudaModularConvolution(context, memory);
    moeCombine = new CudaMoeCombine(context);
    multiplicativeLayer = new CudaMultiplicativeLayer(context, memory);
    rmsNorm = new CudaRmsNorm(context);
    rope = new CudaRope(context);
    sampler = new CudaSampler(context, memory, late);
    sparseFfn = new CudaSparseFfn(context);
    stridedCopy = new CudaStridedCopy(context);
    thresholdedLinear = new CudaThresholdedLinear(context);
    topKRouter = new CudaTopKRouter(context, memory, late);
  }

  @Override
  public Status activeColumns(ActiveColumnsArguments arguments) {
    try (var entry = context.enter("activeColumns")) {
      return activeColumns.launch(entry.stream(), arguments);
    }
  }

  @Override
  public Status add(AddArguments arguments) {
    try (var entry = context.enter("add")) {
      add.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status attention(AttentionArguments arguments) {
    try (var entry = context.enter("attention")) {
      attention.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status clamp(ClampArguments arguments) {
    try (var entry = context.enter("clamp")) {
      clamp.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status embedding(EmbeddingArguments arguments) {
    try (var entry = context.enter("embedding")) {
      return embedding.launch(entry.stream(), arguments);
    }
  }

  @Override
  public Status expertPlan(ExpertPlanArguments arguments) {
    try (var entry = context.enter("expertPlan")) {
      return expertPlan.launch(entry.stream(), arguments);
    }
  }

  @Override
  public Status groupedGemm(GroupedGemmArguments arguments) {
    try (var entry = context.enter("groupedGemm")) {
      groupedGemm.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status kvAppend(KvAppendArguments arguments) {
    try (var entry = context.enter("kvAppend")) {
      kvAppend.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status layerNorm(LayerNormArguments arguments) {
    try (var entry = context.enter("layerNorm")) {
      layerNorm.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status modularConvolution(ModularConvolutionArguments arguments) {
    try (var entry = context.enter("modularConvolution")) {
      modularConvolution.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status moeCombine(MoeCombineArguments arguments) {
    try (var entry = context.enter("moeCombine")) {
      moeCombine.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status multiplicativeLayer(MultiplicativeLayerArguments arguments) {
    try (var entry = context.enter("multiplicativeLayer")) {
      multiplicativeLayer.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status rmsNorm(RmsNormArguments arguments) {
    try (var entry = context.enter("rmsNorm")) {
      rmsNorm.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status rope(RopeArguments arguments) {
    try (var entry = context.enter("rope")) {
      rope.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status sampler(SamplerArguments arguments) {
    try (var entry = context.enter("sampler")) {
      return sampler.launch(entry.stream(), arguments);
    }
  }

  @Override
  public Status sparseFfn(SparseFfnArguments arguments) {
    try (var entry = context.enter("sparseFfn")) {
      sparseFfn.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status stridedCopy(StridedCopyArguments arguments) {
    try (var entry = context.enter("stridedCopy")) {
      stridedCopy.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status thresholdedLinear(ThresholdedLinearArguments arguments) {
    try (var entry = context.enter("thresholdedLinear")) {
      thresholdedLinear.launch(entry.stream(), arguments);
      return Status.DONE;
    }
  }

  @Override
  public Status topKRouter(TopKRouterArguments arguments) {
    try (var entry = context.enter("topKRouter")) {
      return topKRouter.launch(entry.stream(), arguments);
    }
  }

  @Override
  public @Nullable Status topKRouterWithPlan(TopKRouterArguments router, ExpertPlanArguments plan) {
    if (!CudaTopKRouter.canPlan(router)) return null;
    try (var entry = context.enter("topKRouterWithPlan")) {
      return topKRouter.launchWithPlan(entry.stream(), router, plan);
    }
  }
}
