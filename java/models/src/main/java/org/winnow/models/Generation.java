package org.winnow.models;

import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.ContextLengthException;
import org.winnow.op.KvCache;
import org.winnow.op.Sampler;

/**
 * One call of {@code generate}: computes the prompt in chunks, then generates one token per step
 * until a {@link FinishReason} applies.
 */
final class Generation {
  private final LanguageModel model;
  private final Session session;
  private final GenerateOptions options;
  private final TokenListener listener;
  private final Set<Integer> stopIds;
  private final Sampler sampler;
  private int[] ids = new int[16];
  private int numIds;

  Generation(
      LanguageModel model, Session session, GenerateOptions options, TokenListener listener) {
    this.model = model;
    this.session = session;
    this.options = options;
    this.listener = listener;
    this.stopIds =
        options.stopIds() != null ? options.stopIds() : Set.copyOf(model.config().stopTokens());
    this.sampler =
        new Sampler(options.temperature(), options.topK(), options.topP(), options.seed());
  }

  GenerationResult run(int[] prompt) {
    check(prompt);
    StringBuilder text = new StringBuilder();
    session.append(prompt);
    int[] pending = session.pending();
    long begin = System.nanoTime();
    int id = prefill(pending);
    long prefilled = System.nanoTime();
    @Nullable FinishReason reason = id < 0 ? FinishReason.CANCELLED : null;
    while (reason == null) {
      reason = take(id, text);
      if (reason == null) id = model.step(session.cache(), new int[] {id}, sampler);
    }
    long end = System.nanoTime();
    return new GenerationResult(
        Arrays.copyOf(ids, numIds),
        text.toString(),
        reason,
        pending.length,
        prefilled - begin,
        end - prefilled,
        model.expertCounters());
  }

  /**
   * Appends a token unless that ends the text; a method of its own, because a loop that begins with
   * the program stays in the interpreter.
   *
   * @return why nothing follows it, or null
   */
  private @Nullable FinishReason take(int id, StringBuilder text) {
    if (numIds == options.maxTokens()) return FinishReason.LENGTH;
    if (stopIds.contains(id)) return FinishReason.STOP;
    String piece = append(id);
    text.append(piece);
    listener.onToken(id, piece);
    if (numIds == options.maxTokens()) return FinishReason.LENGTH;
    return isCancelled() ? FinishReason.CANCELLED : null;
  }

  private void check(int[] prompt) {
    int vocabulary = model.config().vocabularySize();
    for (int i = 0; i < prompt.length; i++) {
      if (prompt[i] < 0 || prompt[i] >= vocabulary) {
        throw new IllegalArgumentException(
            "prompt must hold ids in [0, " + vocabulary + "), found " + prompt[i] + " at " + i);
      }
    }
    KvCache cache = session.cache();
    long total = (long) session.numTokens() + prompt.length + options.maxTokens();
    if (total > cache.contextLimit()) throw new ContextLengthException(cache.contextLimit(), total);
    if (session.numTokens() + prompt.length == 0)
      throw new IllegalArgumentException("prompt must not be empty at the beginning of a sequence");
    // There is nothing new to compute: compute the last token again, for its logits.
    if (prompt.length == 0 && session.pending().length == 0) cache.truncate(cache.length() - 1);
  }

  /**
   * Computes the prompt. Returns the first new token, or -1 if the generation is cancelled before
   * the last chunk.
   */
  private int prefill(int[] pending) {
    int id = -1;
    for (int begin = 0; begin < pending.length; begin += model.chunkTokens()) {
      if (isCancelled()) return -1;
      int end = Math.min(begin + model.chunkTokens(), pending.length);
      int[] chunk = Arrays.copyOfRange(pending, begin, end);
      if (end < pending.length) model.step(session.cache(), chunk);
      else id = model.step(session.cache(), chunk, sampler);
    }
    return id;
  }

  private boolean isCancelled() {
    return model.isClosing()
        || Thread.currentThread().isInterrupted()
        || (options.cancellation() != null && options.cancellation().isCancelled());
  }

  private String append(int id) {
    if (numIds == ids.length) ids = Arrays.copyOf(ids, 2 * numIds);
    ids[numIds++] = id;
    return session.append(id);
  }
}
