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
  private @Nullable Activations last;

  /** The tensors of a step, each also in the shapes in which operations take it. */
  private record Activations(
      Tensor queries,
      Tensor keys,
      Tensor values,
      Tensor attended,
      Tensor queryHeads,
      Tensor keyHeads,
      Tensor valueHeads,
      Tensor attendedHeads,
      Tensor queryRows,
      Tensor keyRows) {
    boolean areOf(Tensor someQueries, Tensor someKeys, Tensor someValues, Tensor someAttended) {
      return queries == someQueries
          && keys == someKeys
          && values == someValues
          && attended == someAttended;
    }
  }

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
    Activations of = activations(input.dim(0));
    projections.run(backend, input, of.queries, of.keys, of.values);
    if (queryNorm != null && keyNorm != null) {
      RmsNorm.runBoth(backend, of.queryRows, queryNorm, of.keyRows, keyNorm, epsilon);
    }
    if (spec.clip() > 0) {
      Clamp.run(backend, of.queries, spec.clip());
      Clamp.run(backend, of.keys, spec.clip());
      Clamp.run(backend, of.values, spec.clip());
    }
    Rope.run(
        backend, of.queryHeads, of.keyHeads, step.cos(), step.sin(), 0, Rope.Layout.HALF_SPLIT);
    KvCache cache = step.cache();
    cache.append(backend, layer, of.keyHeads, of.valueHeads);
    Attention.run(backend, of.queryHeads, cache, layer, cache.length(), options, of.attendedHeads);
    output.run(backend, of.attended, blockOutput);
  }

  /** Those of the last step if it had as many tokens: a decoded token then makes no objects. */
  private Activations activations(long numTokens) {
    int headDim = spec.headDim();
    int numHeads = spec.numHeads();
    int numKvHeads = spec.numKvHeads();
    Tensor queries = scratch.query.get(DType.F32, numTokens, (long) numHeads * headDim);
    Tensor keys = scratch.key.get(DType.F32, numTokens, (long) numKvHeads * headDim);
    Tensor values = scratch.value.get(DType.F32, numTokens, (long) numKvHeads * headDim);
    Tensor attended = scratch.attended.get(DType.F32, numTokens, output.inputSize());
    Activations present = last;
    if (present != null && present.areOf(queries, keys, values, attended)) return present;
    Activations made =
        new Activations(
            queries,
            keys,
            values,
            attended,
            queries.reshape(numTokens, numHeads, headDim),
            keys.reshape(numTokens, numKvHeads, headDim),
            values.reshape(numTokens, numKvHeads, headDim),
            attended.reshape(numTokens, numHeads, headDim),
            rows(queries, queryNorm),
            rows(keys, keyNorm));
    last = made;
    return made;
  }

  /** The length of the weight decides: a norm per head, or one over the whole projection. */
  private static Tensor rows(Tensor projected, @Nullable Tensor norm) {
    return norm == null
        ? projected
        : projected.reshape(projected.size() / norm.size(), norm.size());
  }

  @Override
  public void close() {}
}
