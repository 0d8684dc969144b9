package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.layer.Linear;
import org.winnow.layer.LinearGroup;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.Clamp;
import org.winnow.op.KvCache;
import org.winnow.op.RmsNorm;
import org.winnow.op.Rope;

/**
 * Grouped-query attention with the options that families add: biases, q/k norm, sinks, a sliding
 * window.
 */
final class GroupedQueryBlock implements AttentionBlock {
  /** Working memory, shared by all layers of a decoder. */
  static final class Scratch implements AutoCloseable {
    private final Workspace query;
    private final Workspace key;
    private final Workspace value;
    private final Workspace attended;

    Scratch(TensorMemory memory) {
      query = new Workspace(memory);
      key = new Workspace(memory);
      value = new Workspace(memory);
      attended = new Workspace(memory);
    }

    @Override
    public void close() {
      query.close();
      key.close();
      value.close();
      attended.close();
    }
  }

  private final DecoderSpec.GroupedQueryAttention spec;
  private final int layer;
  private final float epsilon;
  private final LinearGroup projections; // query, key, value
  private final Linear output;
  private final @Nullable Tensor queryNorm;
  private final @Nullable Tensor keyNorm;
  private final AttentionOptions options;
  private final Scratch scratch;

  GroupedQueryBlock(
      DecoderSpec.GroupedQueryAttention spec,
      int layer,
      float epsilon,
      DecoderWeights weights,
      Scratch scratch) {
    this.spec = spec;
    this.layer = layer;
    this.epsilon = epsilon;
    this.scratch = scratch;
    projections =
        new LinearGroup(
            weights.linear(spec.query()), weights.linear(spec.key()), weights.linear(spec.value()));
    output = weights.linear(spec.output());
    queryNorm = weights.norm(spec.queryNorm());
    keyNorm = weights.norm(spec.keyNorm());
    options =
        new AttentionOptions(
            (float) (1 / Math.sqrt(spec.headDim())),
            spec.slidingWindow(),
            weights.getOrNull(spec.sinks()));
  }

  @Override
  public void run(Step step, Tensor input, Tensor blockOutput) {
    Backend backend = step.backend();
    long numTokens = input.dim(0);
    Tensor queries =
        scratch.query.get(DType.F32, numTokens, (long) spec.numHeads() * spec.headDim());
    Tensor keys = scratch.key.get(DType.F32, numTokens, (long) spec.numKvHeads() * spec.headDim());
    Tensor values =
        scratch.value.get(DType.F32, numTokens, (long) spec.numKvHeads() * spec.headDim());
    projections.run(backend, input, queries, keys, values);
    if (queryNorm != null && keyNorm != null) {
      RmsNorm.runBoth(
          backend, rows(queries, queryNorm), queryNorm, rows(keys, keyNorm), keyNorm, epsilon);
    }
    if (spec.clip() > 0) {
      Clamp.run(backend, queries, spec.clip());
      Clamp.run(backend, keys, spec.clip());
      Clamp.run(backend, values, spec.clip());
    }
    Tensor queryHeads = queries.reshape(numTokens, spec.numHeads(), spec.headDim());
    Tensor keyHeads = keys.reshape(numTokens, spec.numKvHeads(), spec.headDim());
    Rope.run(backend, queryHeads, keyHeads, step.cos(), step.sin(), 0, Rope.Layout.HALF_SPLIT);
    Tensor valueHeads = values.reshape(numTokens, spec.numKvHeads(), spec.headDim());
    KvCache cache = step.cache();
    cache.append(backend, layer, keyHeads, valueHeads);
    Tensor attended = scratch.attended.get(DType.F32, numTokens, output.inputSize());
    Tensor attendedHeads = attended.reshape(numTokens, spec.numHeads(), spec.headDim());
    Attention.run(backend, queryHeads, cache, layer, cache.length(), options, attendedHeads);
    output.run(backend, attended, blockOutput);
  }

  /** The length of the weight decides: a norm per head, or one over the whole projection. */
  private static Tensor rows(Tensor projected, Tensor norm) {
    return projected.reshape(projected.size() / norm.size(), norm.size());
  }

  @Override
  public void close() {}
}
