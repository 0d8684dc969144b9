package org.winnow.models;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.attention.RopeFrequencies;
import org.winnow.layer.Linear;
import org.winnow.op.Embedding;
import org.winnow.op.KvCache;
import org.winnow.op.RmsNorm;

/**
 * A decoder of any family: embedding, layers of attention and feed-forward around a residual
 * stream, final norm, logits. Activations are stored as f32; {@link LoadOptions#activations} says
 * what they are multiplied in. The caller runs one step at a time. The bits that are computed for a
 * token depend on its own sequence only, not on how the prompt is divided into steps.
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
  private final boolean canCapture;
  private final Map<KvCache, CapturedDecode> decodes = new IdentityHashMap<>();
  private long releasesAfterOne = -1; // after the last token that was decoded without capture
  private final Workspace tokenIds;
  private final Workspace hidden;
  private final Workspace normed;
  private final Workspace branch;
  private final Workspace cos;
  private final Workspace sin;
  private final Workspace logits;

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
    this.canCapture =
        backend.canCapture()
            && !readAhead // read-ahead waits for the device inside a token
            && layers.stream()
                .allMatch(layer -> !(layer.mlp() instanceof ExpertBlock b) || b.canCapture());
    TensorMemory memory = backend.memory();
    tokenIds = new Workspace(memory);
    hidden = new Workspace(memory);
    normed = new Workspace(memory);
    branch = new Workspace(memory);
    cos = new Workspace(memory);
    sin = new Workspace(memory);
    logits = new Workspace(memory);
  }

  /**
   * Appends tokens to a sequence. If it throws, the sequence is unchanged.
   *
   * @param ids the tokens
   * @param listener receives hidden states and router logits
   * @return the hidden states after the final norm, [numTokens, hiddenSize] f32, valid until the
   *     next step
   * @throws IllegalArgumentException naming the first id that is not in the vocabulary
   */
  Tensor step(KvCache cache, int[] ids, ForwardListener listener) {
    Step step = begin(cache, ids);
    if (ids.length == 1 && listener == ForwardListener.NONE && canCapture && decode(step))
      return step.normalised();
    int firstPosition = cache.length();
    embed(step);
    for (int i = 0; i < layers.size(); i++) {
      normaliseForAttention(i, step);
      listener.onHidden(i, firstPosition, step.residual());
      attend(i, step);
      layers.get(i).mlp().run(backend, step.normalised(), step.branch());
      Tensor routerLogits = layers.get(i).mlp().routerLogits();
      if (routerLogits != null) listener.onRouterLogits(i, firstPosition, routerLogits);
    }
    finish(step);
    listener.onHidden(layers.size(), firstPosition, step.normalised());
    cache.advance(ids.length);
    if (ids.length == 1) releasesAfterOne = backend.memory().releases();
    return step.normalised();
  }

  /** Prepares what all layers of a step share: working memory, token ids and rotary angles. */
  private Step begin(KvCache cache, int[] ids) {
    cache.reserve(ids.length);
    Step step =
        new Step(
            backend,
            cache,
            tokenIds.get(DType.I32, ids.length).copyFrom(ids),
            cos.get(DType.F32, ids.length, rope.numPairs()),
            sin.get(DType.F32, ids.length, rope.numPairs()),
            hidden.get(DType.F32, ids.length, embedding.dim(1)),
            normed.get(DType.F32, ids.length, embedding.dim(1)),
            branch.get(DType.F32, ids.length, embedding.dim(1)));
    rope.angles(cache.length(), step.cos(), step.sin());
    return step;
  }

  /**
   * Decodes one token by captured steps; captures them first if necessary. A capture needs all
   * working memory to be allocated. So it requires that one token was decoded without capture and
   * that no memory has been released since.
   *
   * @return false if that is not possible now; then the sequence is unchanged
   */
  private boolean decode(Step step) {
    List<ExpertBlock> holds = new ArrayList<>();
    for (Layer layer : layers) {
      if (layer.mlp() instanceof ExpertBlock block && block.needsHost()) holds.add(block);
    }
    CapturedDecode captured =
        decodes.computeIfAbsent(step.cache(), cache -> new CapturedDecode(backend));
    if (captured.isCurrent(holds)) {
      if (!captured.run()) return false;
      step.cache().advanceCaptured(1);
      return true;
    }
    if (backend.memory().releases() != releasesAfterOne) return false;
    if (!captured.capture(program(step, holds))) return false;
    step.cache().advance(1);
    return true;
  }

  private CapturedDecode.Program program(Step step, List<ExpertBlock> holds) {
    CapturedDecode.Program program = new CapturedDecode.Program();
    program.add(() -> embed(step));
    for (int i = 0; i < layers.size(); i++) {
      int index = i;
      if (layers.get(i).mlp() instanceof ExpertBlock block && holds.contains(block)) {
        program.add(() -> normaliseForAttention(index, step));
        program.add(() -> attend(index, step));
        program.add(() -> block.choose(backend, step.normalised()));
        program.hold(block);
        program.add(() -> block.computeHeld(backend, step.normalised(), step.branch()));
      } else {
        MlpBlock mlp = layers.get(i).mlp();
        if (mlp instanceof ExpertBlock block) block.prepareCapture();
        program.add(() -> normaliseForAttention(index, step));
        program.add(() -> attend(index, step));
        program.add(() -> mlp.run(backend, step.normalised(), step.branch()));
      }
    }
    program.add(() -> finish(step));
    return program;
  }

  /** Releases the captured steps of a sequence that is being closed. */
  void forget(KvCache cache) {
    CapturedDecode captured = decodes.remove(cache);
    if (captured != null) captured.close();
  }

  private void embed(Step step) {
    Embedding.run(backend, embedding, step.tokenIds(), step.residual());
  }

  private void finish(Step step) {
    normaliseSum(step, finalNorm);
  }

  /**
   * @param finalHidden rows of what {@link #step} returned
   * @return [rows, vocabularySize] f32, valid until the next call
   */
  Tensor logits(Tensor finalHidden) {
    Tensor scores = logits.get(DType.F32, finalHidden.dim(0), output.outputSize());
    output.run(backend, finalHidden, scores);
    return scores;
  }

  /** The norm of a layer's input: of the embedding, or of what the layer before left to add. */
  private void normaliseForAttention(int index, Step step) {
    Tensor norm = layers.get(index).attentionNorm();
    if (index > 0) normaliseSum(step, norm);
    else RmsNorm.run(backend, step.residual(), norm, step.normalised(), epsilon);
  }

  /** Attention, then the norm before the feed-forward part. */
  private void attend(int index, Step step) {
    Layer layer = layers.get(index);
    layer.attention().run(step, step.normalised(), step.branch());
    if (readAhead && index + 1 < layers.size()) {
      Layer next = layers.get(index + 1);
      normaliseSum(step, next.mlpNorm());
      next.mlp().readAhead(backend, step.normalised());
      RmsNorm.run(backend, step.residual(), layer.mlpNorm(), step.normalised(), epsilon);
    } else {
      normaliseSum(step, layer.mlpNorm());
    }
  }

  /** Adds the branch to the residual stream and normalises the sum. */
  private void normaliseSum(Step step, Tensor norm) {
    RmsNorm.runOnSum(backend, step.residual(), step.branch(), norm, step.normalised(), epsilon);
  }

  /** Releases the working memory. Layers, weights and backend are closed by their owners. */
  @Override
  public void close() {
    decodes.values().forEach(CapturedDecode::close);
    for (Workspace memory : List.of(tokenIds, hidden, normed, branch, cos, sin, logits))
      memory.close();
  }
}
