package org.winnow.models;

import java.util.List;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.attention.KvCache;
import org.winnow.attention.RopeFrequencies;
import org.winnow.layer.Add;
import org.winnow.layer.Embedding;
import org.winnow.layer.Linear;
import org.winnow.layer.RmsNorm;

/**
 * A decoder of any family: embedding, layers of attention and feed-forward around a residual
 * stream, final norm, logits. Activations are f32. For one step at a time; the caller orders them.
 * What a token computes depends on its own sequence only, to the bit: not on how the prompt is cut
 * into steps.
 */
final class Decoder implements AutoCloseable {
  /** The parts of a layer, in the order in which they run. */
  record Layer(Tensor attentionNorm, AttentionBlock attention, Tensor mlpNorm, MlpBlock mlp) {}

  private final Backend backend;
  private final Tensor embedding;
  private final RopeFrequencies rope;
  private final List<Layer> layers;
  private final Tensor finalNorm;
  private final Linear output;
  private final float epsilon;
  private final boolean readAhead;
  private final ReusableTensor tokenIds;
  private final ReusableTensor hidden;
  private final ReusableTensor normed;
  private final ReusableTensor branch;
  private final ReusableTensor cos;
  private final ReusableTensor sin;
  private final ReusableTensor logits;

  Decoder(
      Backend backend,
      DecoderSpec spec,
      DecoderWeights weights,
      List<Layer> layers,
      boolean readAhead) {
    this.backend = backend;
    this.embedding = weights.get(spec.embedding());
    this.rope = spec.rope();
    this.layers = List.copyOf(layers);
    this.finalNorm = weights.get(spec.finalNorm().name());
    this.output = weights.linear(spec.output(), null);
    this.epsilon = spec.epsilon();
    this.readAhead = readAhead;
    TensorMemory memory = backend.memory();
    tokenIds = new ReusableTensor(memory, DType.I32);
    hidden = new ReusableTensor(memory);
    normed = new ReusableTensor(memory);
    branch = new ReusableTensor(memory);
    cos = new ReusableTensor(memory);
    sin = new ReusableTensor(memory);
    logits = new ReusableTensor(memory);
  }

  /**
   * Appends tokens to a sequence. If it throws, the sequence is as it was.
   *
   * @param ids the tokens
   * @param listener sees hidden states and router logits
   * @return the hidden state behind the final norm, [numTokens, hiddenSize] f32, valid until the
   *     next step
   * @throws IllegalArgumentException naming the first id that is not in the vocabulary
   */
  Tensor step(KvCache cache, int[] ids, ForwardListener listener) {
    int firstPosition = cache.length();
    cache.reserve(ids.length);
    Tensor residual = hidden.view(ids.length, embedding.dim(1));
    Embedding.run(backend, embedding, tokenIds.view(ids.length).copyFrom(ids), residual);
    Step step =
        new Step(
            backend,
            cache,
            cos.view(ids.length, rope.numPairs()),
            sin.view(ids.length, rope.numPairs()));
    rope.angles(firstPosition, step.cos(), step.sin());
    Tensor normalised = normed.view(ids.length, embedding.dim(1));
    Tensor added = branch.view(ids.length, embedding.dim(1));
    for (int i = 0; i < layers.size(); i++) {
      listener.onHidden(i, firstPosition, residual);
      run(i, step, residual, normalised, added);
      Tensor routerLogits = layers.get(i).mlp().routerLogits();
      if (routerLogits != null) listener.onRouterLogits(i, firstPosition, routerLogits);
    }
    RmsNorm.run(backend, residual, finalNorm, normalised, epsilon);
    listener.onHidden(layers.size(), firstPosition, normalised);
    cache.advance(ids.length);
    return normalised;
  }

  /**
   * @param finalHidden rows of what {@link #step} returned
   * @return [rows, vocabularySize] f32, valid until the next call
   */
  Tensor logits(Tensor finalHidden) {
    Tensor scores = logits.view(finalHidden.dim(0), output.outputSize());
    output.run(backend, finalHidden, scores);
    return scores;
  }

  private void run(int index, Step step, Tensor residual, Tensor normalised, Tensor added) {
    Layer layer = layers.get(index);
    RmsNorm.run(backend, residual, layer.attentionNorm(), normalised, epsilon);
    layer.attention().run(step, normalised, added);
    Add.run(backend, residual, added);
    if (readAhead && index + 1 < layers.size()) {
      Layer next = layers.get(index + 1);
      RmsNorm.run(backend, residual, next.mlpNorm(), normalised, epsilon);
      next.mlp().readAhead(backend, normalised);
    }
    RmsNorm.run(backend, residual, layer.mlpNorm(), normalised, epsilon);
    layer.mlp().run(backend, normalised, added);
    Add.run(backend, residual, added);
  }

  /** Releases the working memory; layers, weights and backend stay their owner's. */
  @Override
  public void close() {
    for (ReusableTensor memory : List.of(tokenIds, hidden, normed, branch, cos, sin, logits))
      memory.close();
  }
}
