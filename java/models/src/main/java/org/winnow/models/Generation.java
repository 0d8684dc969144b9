package org.winnow.models;

import java.util.Arrays;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.ContextLengthException;
import org.winnow.op.KvCache;

/**
 * One call of {@code generate}: computes the prompt in chunks, then generates one token per step
 * until a {@link FinishReason} applies.
 */
final class Generation {
  private final LanguageModel model;
  private final Session session;
  private final GenerateOptions options;
  private final Set<Integer> stopIds;
  private final TokenChooser chooser;
  private final TokenDelivery delivery;
  private int maxTokens;
  private int[] ids = new int[16];
  private int numIds;

  Generation(
      LanguageModel model, Session session, GenerateOptions options, TokenListener listener) {
    this.model = model;
    this.session = session;
    this.options = options;
    this.stopIds =
        options.stopIds() != null ? options.stopIds() : Set.copyOf(model.config().stopTokens());
    this.chooser = new TokenChooser(session, options);
    this.delivery = new TokenDelivery(options.stopTexts(), listener);
  }

  GenerationResult run(int[] prompt) {
    check(prompt);
    session.append(prompt);
    int[] pending = session.pending();
    long begin = System.nanoTime();
    TokenChooser.@Nullable Choice choice = prefill(pending);
    long prefilled = System.nanoTime();
    FinishReason reason = choice == null ? FinishReason.CANCELLED : decode(choice);
    delivery.finish();
    long end = System.nanoTime();
    return new GenerationResult(
        Arrays.copyOf(ids, numIds),
        delivery.text(),
        reason,
        pending.length,
        prefilled - begin,
        end - prefilled,
        model.expertCounters());
  }

  private FinishReason decode(TokenChooser.Choice first) {
    TokenChooser.Choice choice = first;
    while (true) {
      FinishReason reason = take(choice);
      if (reason != null) return reason;
      choice = model.step(session.cache(), new int[] {choice.id()}, chooser);
    }
  }

  /**
   * Appends a token unless that ends the text; a method of its own, because a loop that begins with
   * the program stays in the interpreter.
   *
   * @return why nothing follows it, or null
   */
  private @Nullable FinishReason take(TokenChooser.Choice choice) {
    if (numIds == maxTokens) return FinishReason.LENGTH;
    if (stopIds.contains(choice.id())) return FinishReason.STOP;
    String piece = append(choice.id());
    if (delivery.accept(choice, piece)) return FinishReason.STOP;
    if (numIds == maxTokens) return FinishReason.LENGTH;
    return isCancelled() ? FinishReason.CANCELLED : null;
  }

  private void check(int[] prompt) {
    if (!options.stopTexts().isEmpty() && model.tokenizer() == null)
      throw new IllegalStateException(
          "stopTexts need a tokenizer: the model has no " + Tokenizer.FILE);
    int vocabulary = model.config().vocabularySize();
    for (int i = 0; i < prompt.length; i++) {
      if (prompt[i] < 0 || prompt[i] >= vocabulary) {
        throw new IllegalArgumentException(
            "prompt must hold ids in [0, " + vocabulary + "), found " + prompt[i] + " at " + i);
      }
    }
    if (options.logprobs() > vocabulary)
      throw new IllegalArgumentException(
          "logprobs must be at most the vocabulary of "
              + vocabulary
              + ", found "
              + options.logprobs());
    KvCache cache = session.cache();
    long before = (long) session.numTokens() + prompt.length;
    boolean fills = options.maxTokens() == GenerateOptions.FILL_CONTEXT;
    maxTokens = fills ? (int) Math.max(1, cache.contextLimit() - before) : options.maxTokens();
    long total = before + maxTokens;
    if (total > cache.contextLimit()) throw new ContextLengthException(cache.contextLimit(), total);
    if (before == 0)
      throw new IllegalArgumentException("prompt must not be empty at the beginning of a sequence");
    // There is nothing new to compute: compute the last token again, for its logits.
    if (prompt.length == 0 && session.pending().length == 0) cache.truncate(cache.length() - 1);
  }

  /**
   * Computes the prompt. Returns the first new token, or null if the generation is cancelled before
   * the last chunk.
   */
  private TokenChooser.@Nullable Choice prefill(int[] pending) {
    TokenChooser.Choice choice = null;
    for (int begin = 0; begin < pending.length; begin += model.chunkTokens()) {
      if (isCancelled()) return null;
      int end = Math.min(begin + model.chunkTokens(), pending.length);
      int[] chunk = Arrays.copyOfRange(pending, begin, end);
      if (end < pending.length) model.step(session.cache(), chunk);
      else choice = model.step(session.cache(), chunk, chooser);
    }
    return choice;
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
