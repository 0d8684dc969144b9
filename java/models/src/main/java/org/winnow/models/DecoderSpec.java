package org.winnow.models;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.TensorMemory;
import org.winnow.attention.RopeFrequencies;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertStore;
import org.winnow.op.Activation;
import org.winnow.op.KvCache;
import org.winnow.op.TopKRouter;

/**
 * The structure of a decoder and the names of its tensors in the checkpoint: everything that
 * differs between families. Nothing is computed or read here.
 *
 * @param embedding name of the [vocabularySize, hiddenSize] table
 * @param output name of the [vocabularySize, hiddenSize] matrix that computes the logits; equal to
 *     {@code embedding} if the two are tied
 */
record DecoderSpec(
    int vocabularySize,
    int hiddenSize,
    int contextLength,
    float epsilon,
    RopeFrequencies rope,
    String embedding,
    List<Layer> layers,
    Norm finalNorm,
    String output) {

  /**
   * A tensor that is read when the model is opened. Rank 1 becomes f32, rank 2 keeps its stored
   * type.
   */
  record Weight(String name, Values values, long... shape) {
    /** Values of rank 1 are finite. */
    Weight(String name, long... shape) {
      this(name, shape.length == 1 ? Values.FINITE : Values.UNCHECKED, shape);
    }
  }

  /** Which values a weight may have. */
  enum Values {
    FINITE,
    /** -Infinity has a meaning too. */
    FINITE_OR_MINUS_INFINITY,
    /** A large matrix, of which not every value is looked at. */
    UNCHECKED
  }

  /** {@code name} [size]. */
  record Norm(String name, long size) {
    void addTo(List<Weight> weights) {
      weights.add(new Weight(name, size));
    }
  }

  /** {@code name.weight} [outputSize, inputSize] and, if biased, {@code name.bias} [outputSize]. */
  record Projection(String name, long outputSize, long inputSize, boolean biased) {
    String weight() {
      return name + ".weight";
    }

    @Nullable String bias() {
      return biased ? name + ".bias" : null;
    }

    void addTo(List<Weight> weights) {
      addTo(weights, Values.UNCHECKED);
    }

    void addTo(List<Weight> weights, Values values) {
      weights.add(new Weight(weight(), values, outputSize, inputSize));
      if (biased) weights.add(new Weight(name + ".bias", outputSize));
    }
  }

  /** {@code hidden += attention(norm(hidden)); hidden += mlp(norm(hidden))}. */
  record Layer(Norm attentionNorm, Attention attention, Norm mlpNorm, Mlp mlp) {}

  sealed interface Attention {
    void addTo(List<Weight> weights);
  }

  /**
   * Grouped-query attention.
   *
   * @param queryNorm size headDim for a norm per head, size numHeads * headDim for a norm over the
   *     whole projection; null for none
   * @param keyNorm the same for k, with numKvHeads; null exactly if {@code queryNorm} is
   * @param clip q, k and v are clamped to [-clip, clip]; 0 for no clamping
   * @param slidingWindow number of keys that a query attends to, its own included; 0 for its own
   *     and all before
   * @param sinks name of the [numHeads] sink logits, or null
   */
  record GroupedQueryAttention(
      int numHeads,
      int numKvHeads,
      int headDim,
      Projection query,
      Projection key,
      Projection value,
      Projection output,
      @Nullable Norm queryNorm,
      @Nullable Norm keyNorm,
      float clip,
      int slidingWindow,
      @Nullable String sinks)
      implements Attention {
    GroupedQueryAttention {
      if ((queryNorm == null) != (keyNorm == null))
        throw new IllegalArgumentException("queryNorm and keyNorm must be given both or neither");
    }

    @Override
    public void addTo(List<Weight> weights) {
      for (Projection projection : List.of(query, key, value, output)) projection.addTo(weights);
      if (queryNorm != null) queryNorm.addTo(weights);
      if (keyNorm != null) keyNorm.addTo(weights);
      // a sink of -Infinity takes no part in the softmax
      if (sinks != null) weights.add(new Weight(sinks, Values.FINITE_OR_MINUS_INFINITY, numHeads));
    }
  }

  /**
   * Multi-head latent attention.
   *
   * @param queryDown the first of two query projections; null if {@code queryUp} projects the
   *     hidden state to q directly
   * @param queryNorm norm between the two query projections; null exactly if {@code queryDown} is
   *     null
   */
  record LatentAttention(
      int numHeads,
      int nopeDim,
      int ropeDim,
      int valueDim,
      int latentSize,
      boolean interleavedRope,
      @Nullable Projection queryDown,
      @Nullable Norm queryNorm,
      Projection queryUp,
      Projection latentDown,
      Norm latentNorm,
      Projection latentUp,
      Projection output,
      float scale)
      implements Attention {
    @Override
    public void addTo(List<Weight> weights) {
      if (queryDown != null) queryDown.addTo(weights);
      if (queryNorm != null) queryNorm.addTo(weights);
      for (Projection projection : List.of(queryUp, latentDown, latentUp, output))
        projection.addTo(weights);
      latentNorm.addTo(weights);
    }
  }

  sealed interface Mlp {
    void addTo(List<Weight> weights);
  }

  record DenseMlp(Projection gate, Projection up, Projection down, Activation activation)
      implements Mlp {
    @Override
    public void addTo(List<Weight> weights) {
      for (Projection projection : List.of(gate, up, down)) projection.addTo(weights);
    }
  }

  /**
   * A mixture of experts.
   *
   * @param router projection to one logit per expert
   * @param rule how experts are chosen by their logits
   * @param correctionBias name of the [numExperts] f32 bias, or null. It is added to the scores
   *     that decide the choice, not to the weights of the chosen experts
   * @param shared a dense block that every token also uses, or null
   * @param sharedGate projection to the single gate value of the shared block, or null for no gate
   */
  record ExpertMlp(
      int numExperts,
      int intermediateSize,
      Projection router,
      TopKRouter.Builder rule,
      @Nullable String correctionBias,
      ExpertTensors experts,
      Activation activation,
      @Nullable DenseMlp shared,
      @Nullable Projection sharedGate)
      implements Mlp {
    ExpertMlp withShared(DenseMlp newShared, @Nullable Projection newSharedGate) {
      return new ExpertMlp(
          numExperts,
          intermediateSize,
          router,
          rule,
          correctionBias,
          experts,
          activation,
          newShared,
          newSharedGate);
    }

    @Override
    public void addTo(List<Weight> weights) {
      // one value that is not finite decides the choice of every token
      router.addTo(weights, Values.FINITE);
      if (correctionBias != null) weights.add(new Weight(correctionBias, numExperts));
      if (shared != null) shared.addTo(weights);
      if (sharedGate != null) sharedGate.addTo(weights, Values.FINITE);
    }
  }

  /**
   * The places of all experts in the checkpoint, or null for a dense decoder.
   *
   * @param backend experts are read into the layouts that it multiplies fastest; null: into rows
   * @throws org.winnow.CheckpointException naming a tensor that is missing or wrong
   */
  @Nullable ExpertStore expertStore(Checkpoint checkpoint, Backend backend) {
    ExpertStore.Builder builder = null;
    for (Layer layer : layers) {
      if (!(layer.mlp() instanceof ExpertMlp experts)) continue;
      if (builder == null) {
        builder =
            ExpertStore.builder(checkpoint, hiddenSize, experts.intermediateSize())
                .layoutOf(backend);
      }
      int numExperts = experts.numExperts();
      experts.experts().refuseTransposed(checkpoint, hiddenSize, experts.intermediateSize());
      Set<ExpertRole> widened = experts.experts().unlike(checkpoint, numExperts);
      builder.addLayer(
          numExperts, expert -> experts.experts().sources(expert, numExperts, widened));
    }
    return builder == null ? null : builder.build();
  }

  /**
   * An empty key-value cache for this decoder, in the memory of the backend that computes it.
   *
   * @param element type of what it holds
   */
  KvCache newKvCache(TensorMemory memory, DType element) {
    if (layers.get(0).attention() instanceof GroupedQueryAttention grouped) {
      return new KvCache(
          memory,
          element,
          layers.size(),
          grouped.numKvHeads(),
          grouped.headDim(),
          grouped.headDim(),
          contextLength);
    }
    LatentAttention latent = (LatentAttention) layers.get(0).attention();
    return KvCache.ofLatents(
        memory, element, layers.size(), latent.latentSize(), latent.ropeDim(), contextLength);
  }

  /** Elements that a token adds to the key-value cache. */
  long cacheElementsPerToken() {
    long perLayer =
        layers.get(0).attention() instanceof GroupedQueryAttention grouped
            ? 2L * grouped.numKvHeads() * grouped.headDim()
            : ((LatentAttention) layers.get(0).attention()).latentSize()
                + (long) ((LatentAttention) layers.get(0).attention()).ropeDim();
    return layers.size() * perLayer;
  }

  /** All tensors except those of the experts. */
  List<Weight> weights() {
    List<Weight> weights = new ArrayList<>();
    weights.add(new Weight(embedding, vocabularySize, hiddenSize));
    for (Layer layer : layers) {
      layer.attentionNorm().addTo(weights);
      layer.attention().addTo(weights);
      layer.mlpNorm().addTo(weights);
      layer.mlp().addTo(weights);
    }
    finalNorm.addTo(weights);
    if (!output.equals(embedding)) weights.add(new Weight(output, vocabularySize, hiddenSize));
    return weights;
  }

  /** Names of the experts' tensors. */
  void forEachExpertTensor(Consumer<String> action) {
    for (Layer layer : layers) {
      if (!(layer.mlp() instanceof ExpertMlp mlp)) continue;
      Set<String> names = new LinkedHashSet<>(); // a tensor can hold the parts of many experts
      for (int expert = 0; expert < mlp.numExperts(); expert++)
        mlp.experts().parts(expert).forEach(part -> names.add(part.tensor()));
      names.forEach(action);
    }
  }
}
