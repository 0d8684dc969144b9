package org.winnow.attention;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.lang.ref.Reference;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.attention.MlaWorkspace.Slot;
import org.winnow.layer.Linear;
import org.winnow.layer.LinearGroup;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;
import org.winnow.op.RmsNorm;
import org.winnow.op.Rope;
import org.winnow.op.StridedCopy;

/**
 * Multi-head latent attention, from the hidden state to the output projection. The cache holds one
 * latent and one rotary key per token for all heads (DeepSeek-AI 2024, arXiv:2405.04434, eq. (9) to
 * (19)).
 *
 * <pre>{@code
 * [q^N_h ; q^R_h] = W^UQ_h RmsNorm(W^DQ x)
 * [c ; k^R]       = W^DKV x
 * c               = RmsNorm(c);  q^R and k^R are rotated by their position
 * a_j             = softmax_j(scale ((W^UK_h)^T q^N_h . c_j + q^R_h . k^R_j))
 * o_h             = W^UV_h sum_j a_j c_j
 * output          = W^O concat_h(o_h)
 * }</pre>
 *
 * This is the absorbed form: it multiplies the query by (W^UK)^T instead of multiplying every
 * latent by W^UK, so attention reads only latents. A token gets the same bits in any batch.
 *
 * <p>The caller keeps the weights open. Safe for use from several threads if each has its own
 * workspace and cache.
 */
public final class MlaAttention implements AutoCloseable {
  /**
   * @param numHeads query heads
   * @param nopeWidth width of a head's part without rotary embedding
   * @param ropeWidth width of a head's rotary part
   * @param valueWidth width of a head's value
   * @param scale factor of the scores, see {@link #scale}
   * @param epsilon epsilon of both normalisations
   * @param layout layout of the rotary part's pairs
   */
  public record Geometry(
      int numHeads,
      int nopeWidth,
      int ropeWidth,
      int valueWidth,
      float scale,
      float epsilon,
      Rope.Layout layout) {}

  /**
   * @param queryDown W^DQ [queryRank, hiddenSize], or null if {@code queryUp} takes the hidden
   *     state directly
   * @param queryNorm [queryRank] f32; null if and only if {@code queryDown} is null
   * @param queryUp W^UQ [numHeads * (nopeWidth + ropeWidth), queryRank or hiddenSize]
   * @param latentDown W^DKV [latentWidth + ropeWidth, hiddenSize]
   * @param latentNorm [latentWidth] f32
   * @param latentUp [numHeads * (nopeWidth + valueWidth), latentWidth], per head W^UK_h above
   *     W^UV_h; floating
   * @param output W^O [hiddenSize, numHeads * valueWidth]
   * @param activations what f32 activations are multiplied by {@code latentUp} in: f32, or bf16
   *     unless that is f32. The linear maps have this option themselves
   */
  public record Weights(
      @Nullable Linear queryDown,
      @Nullable Tensor queryNorm,
      Linear queryUp,
      Linear latentDown,
      Tensor latentNorm,
      Tensor latentUp,
      Linear output,
      DType activations) {
    /** With f32 activations. */
    public Weights(
        @Nullable Linear queryDown,
        @Nullable Tensor queryNorm,
        Linear queryUp,
        Linear latentDown,
        Tensor latentNorm,
        Tensor latentUp,
        Linear output) {
      this(queryDown, queryNorm, queryUp, latentDown, latentNorm, latentUp, output, F32);
    }
  }

  private final Geometry geometry;
  private final Weights weights;
  private final long latentWidth;
  private final LinearGroup projections; // of the hidden state: to the query, to the latent
  private final AbsorbedWeights absorbedWeights;

  /**
   * @throws IllegalArgumentException naming the weight whose shape or type is wrong
   */
  public MlaAttention(Geometry geometry, Weights weights) {
    this.geometry = geometry;
    this.weights = weights;
    weights.latentNorm().require("latentNorm", F32, ANY);
    latentWidth = weights.latentNorm().dim(0);
    int heads = geometry.numHeads();
    long headRows = geometry.nopeWidth() + (long) geometry.valueWidth();
    weights.latentUp().requireFloating("latentUp", heads * headRows, latentWidth);
    requireSize("queryUp output", weights.queryUp().outputSize(), heads * queryWidth());
    requireSize(
        "latentDown output", weights.latentDown().outputSize(), latentWidth + geometry.ropeWidth());
    requireSize("output input", weights.output().inputSize(), (long) heads * geometry.valueWidth());
    requireSize("output output", weights.output().outputSize(), weights.latentDown().inputSize());
    if (weights.queryDown() == null) {
      requireSize("queryUp input", weights.queryUp().inputSize(), weights.latentDown().inputSize());
    } else {
      requireSize("queryUp input", weights.queryUp().inputSize(), weights.queryDown().outputSize());
      requireSize(
          "queryDown input", weights.queryDown().inputSize(), weights.latentDown().inputSize());
      Objects.requireNonNull(weights.queryNorm(), "queryNorm")
          .require("queryNorm", F32, weights.queryDown().outputSize());
    }
    projections =
        new LinearGroup(
            weights.queryDown() == null ? weights.queryUp() : weights.queryDown(),
            weights.latentDown());
    absorbedWeights =
        new AbsorbedWeights(geometry, latentWidth, weights.latentUp(), weights.activations());
  }

  /**
   * {@code (nopeWidth + ropeWidth)^(-1/2)}, times {@code m^2} with {@code m = 0.1 mscaleAllDim
   * ln(factor) + 1} if the checkpoint's rope scaling has {@code mscale_all_dim}.
   *
   * @param mscaleAllDim 0 if there is none
   */
  public static float scale(int nopeWidth, int ropeWidth, double mscaleAllDim, double factor) {
    double magnitude = mscaleAllDim == 0 ? 1 : RopeFrequencies.magnitude(mscaleAllDim, factor);
    return (float) (magnitude * magnitude / Math.sqrt((double) nopeWidth + ropeWidth));
  }

  /**
   * Appends the tokens' latents to the cache and attends to all tokens of the cache. The caller
   * then advances the cache.
   *
   * @param hidden [numTokens, hiddenSize] f32: the tokens at positions from {@code cache.length()}
   *     on
   * @param cache a cache of latents, {@link KvCache#ofLatents}
   * @param cos [numTokens, ropeWidth / 2] f32, from {@link RopeFrequencies#angles}
   * @param sin [numTokens, ropeWidth / 2] f32, from {@link RopeFrequencies#angles}
   * @param output [numTokens, hiddenSize] f32, overwritten; must not overlap {@code hidden}
   * @throws IllegalArgumentException naming the argument that is wrong
   * @throws org.winnow.ContextLengthException if the sequence would exceed the cache's limit
   * @throws IllegalStateException if a tensor, the cache, the workspace, this or the backend is
   *     closed
   */
  public void run(
      Backend backend,
      Tensor hidden,
      KvCache cache,
      int layer,
      Tensor cos,
      Tensor sin,
      MlaWorkspace workspace,
      Tensor output) {
    hidden.require("hidden", F32, ANY, weights.latentDown().inputSize());
    output.require("output", F32, hidden.dim(0), hidden.dim(1));
    if (!cache.isLatent()
        || cache.valueWidth() != latentWidth
        || cache.keyWidth() != latentWidth + geometry.ropeWidth()) {
      throw new IllegalArgumentException(
          "cache must hold latents of "
              + latentWidth
              + " + "
              + geometry.ropeWidth()
              + ", found "
              + (cache.isLatent()
                  ? cache.valueWidth() + " + " + (cache.keyWidth() - cache.valueWidth())
                  : "keys and values"));
    }
    hidden.requireIn("hidden", backend.memory());
    workspace.use(backend.memory());
    if (hidden.dim(0) == 0) return;
    cache.reserve(Math.toIntExact(hidden.dim(0)));
    Tensor query = queryAndLatents(backend, hidden, workspace);
    Rope.run(backend, query, cos, sin, geometry.nopeWidth(), geometry.layout());
    appendLatents(backend, hidden.dim(0), cache, layer, cos, sin, workspace);
    Tensor attended = absorbed(backend, query, cache, layer, workspace);
    weights
        .output()
        .run(backend, attended.reshape(hidden.dim(0), attended.size() / hidden.dim(0)), output);
    Reference.reachabilityFence(this);
  }

  /**
   * Queries [numTokens, numHeads, nopeWidth + ropeWidth], and the workspace's latents, both before
   * rotation.
   */
  private Tensor queryAndLatents(Backend backend, Tensor hidden, MlaWorkspace workspace) {
    long numTokens = hidden.dim(0);
    Tensor query = workspace.get(Slot.QUERY, F32, numTokens, geometry.numHeads(), queryWidth());
    Tensor queryRows = query.reshape(numTokens, weights.queryUp().outputSize());
    Tensor both =
        workspace.get(Slot.LATENT_AND_ROPE, F32, numTokens, latentWidth + geometry.ropeWidth());
    if (weights.queryDown() == null) {
      projections.run(backend, hidden, queryRows, both);
      return query;
    }
    Tensor latent =
        workspace.get(Slot.QUERY_LATENT, F32, numTokens, weights.queryDown().outputSize());
    projections.run(backend, hidden, latent, both);
    Tensor norm = Objects.requireNonNull(weights.queryNorm());
    RmsNorm.run(backend, latent, norm, latent, geometry.epsilon());
    weights.queryUp().run(backend, latent, queryRows);
    return query;
  }

  private void appendLatents(
      Backend backend,
      long numTokens,
      KvCache cache,
      int layer,
      Tensor cos,
      Tensor sin,
      MlaWorkspace workspace) {
    long width = latentWidth + geometry.ropeWidth();
    Tensor both = workspace.get(Slot.LATENT_AND_ROPE, F32, numTokens, width);
    Tensor latent = workspace.get(Slot.LATENT, F32, numTokens, latentWidth);
    Rope.run(
        backend,
        both.reshape(numTokens, 1, width),
        cos,
        sin,
        Math.toIntExact(latentWidth),
        geometry.layout());
    StridedCopy.run(
        backend, both, 0, width, 0, latent, 0, latentWidth, 0, numTokens, 1, latentWidth);
    RmsNorm.run(backend, latent, weights.latentNorm(), latent, geometry.epsilon());
    StridedCopy.run(
        backend, latent, 0, latentWidth, 0, both, 0, width, 0, numTokens, 1, latentWidth);
    cache.append(backend, layer, cache.keys(), both.reshape(numTokens, 1, width));
  }

  /** Attention's result [numTokens, numHeads, valueWidth]. */
  private Tensor absorbed(
      Backend backend, Tensor query, KvCache cache, int layer, MlaWorkspace workspace) {
    long numTokens = query.dim(0);
    long heads = geometry.numHeads();
    long nope = geometry.nopeWidth();
    long rope = geometry.ropeWidth();
    long width = latentWidth + rope;
    Tensor byHead = workspace.get(Slot.QUERY_BY_HEAD, F32, heads * numTokens, nope);
    Tensor absorbedByHead =
        workspace.get(Slot.ABSORBED_BY_HEAD, F32, heads * numTokens, latentWidth);
    Tensor absorbed = workspace.get(Slot.ABSORBED, F32, numTokens, heads, width);
    StridedCopy.run(
        backend,
        query,
        0,
        heads * queryWidth(),
        queryWidth(),
        byHead,
        0,
        nope,
        numTokens * nope,
        numTokens,
        heads,
        nope);
    absorbedWeights.multiplyByKeys(backend, byHead, workspace, absorbedByHead);
    StridedCopy.run(
        backend,
        absorbedByHead,
        0,
        latentWidth,
        numTokens * latentWidth,
        absorbed,
        0,
        heads * width,
        width,
        numTokens,
        heads,
        latentWidth);
    StridedCopy.run(
        backend,
        query,
        nope,
        heads * queryWidth(),
        queryWidth(),
        absorbed,
        latentWidth,
        heads * width,
        width,
        numTokens,
        heads,
        rope);

    Tensor attended = workspace.get(Slot.ATTENDED_LATENT, F32, numTokens, heads, latentWidth);
    Attention.run(
        backend,
        absorbed,
        cache,
        layer,
        cache.length(),
        AttentionOptions.causal(geometry.scale()),
        attended);

    Tensor latentByHead = workspace.get(Slot.LATENT_BY_HEAD, F32, heads * numTokens, latentWidth);
    Tensor valueByHead =
        workspace.get(Slot.VALUE_BY_HEAD, F32, heads * numTokens, geometry.valueWidth());
    Tensor result = workspace.get(Slot.ATTENDED, F32, numTokens, heads, geometry.valueWidth());
    StridedCopy.run(
        backend,
        attended,
        0,
        heads * latentWidth,
        latentWidth,
        latentByHead,
        0,
        latentWidth,
        numTokens * latentWidth,
        numTokens,
        heads,
        latentWidth);
    absorbedWeights.multiplyByValues(backend, latentByHead, workspace, valueByHead);
    StridedCopy.run(
        backend,
        valueByHead,
        0,
        geometry.valueWidth(),
        numTokens * geometry.valueWidth(),
        result,
        0,
        heads * geometry.valueWidth(),
        geometry.valueWidth(),
        numTokens,
        heads,
        geometry.valueWidth());
    return result;
  }

  private long queryWidth() {
    return geometry.nopeWidth() + (long) geometry.ropeWidth();
  }

  private static void requireSize(String name, long found, long expected) {
    if (found != expected)
      throw new IllegalArgumentException(name + " must be " + expected + ", found " + found);
  }

  /** Releases the tensors that this allocated. The weights stay open. May be called twice. */
  @Override
  public void close() {
    absorbedWeights.close();
  }
}
