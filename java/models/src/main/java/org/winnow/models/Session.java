package org.winnow.models;

import java.util.Arrays;
import org.winnow.op.KvCache;

/**
 * One sequence of tokens and its key-value cache: a conversation that goes on without computing its
 * beginning again. Weights are the model's, shared by all its sessions. Calls from several threads
 * are served one after the other.
 */
public final class Session implements AutoCloseable {
  private final LanguageModel model;
  private final KvCache cache;
  private int[] tokens = new int[64]; // all of the sequence; the cache holds the first ones
  private int numTokens;
  private boolean closed;

  Session(LanguageModel model, KvCache cache) {
    this.model = model;
    this.cache = cache;
  }

  /** Tokens of the sequence so far: prompts and what was generated. */
  public synchronized int numTokens() {
    return numTokens;
  }

  /**
   * Goes on after this text. At the beginning of the session the tokenizer adds what it begins a
   * text with.
   *
   * @throws IllegalStateException if session or model is closed, or the model has no tokenizer
   * @see #generate(int[], GenerateOptions, TokenListener)
   */
  public synchronized GenerationResult generate(
      String prompt, GenerateOptions options, TokenListener listener) {
    return generate(model.requireTokenizer().encode(prompt, numTokens == 0), options, listener);
  }

  /**
   * Goes on after these tokens. If it throws, the session keeps the tokens that were complete
   * before the step that failed.
   *
   * @param prompt token ids to append; may be empty if the sequence is not
   * @throws org.winnow.ContextLengthException if the sequence, the prompt and {@code maxTokens}
   *     exceed the context; nothing has run then
   * @throws org.winnow.ExpertReadException if weights cannot be read
   * @throws IllegalArgumentException if an id is not in the vocabulary, or the sequence would be
   *     empty
   * @throws IllegalStateException if session or model is closed
   */
  public synchronized GenerationResult generate(
      int[] prompt, GenerateOptions options, TokenListener listener) {
    if (closed) throw new IllegalStateException("session is closed");
    return model.generate(this, prompt, options, listener);
  }

  KvCache cache() {
    return cache;
  }

  void append(int id) {
    if (numTokens == tokens.length) tokens = Arrays.copyOf(tokens, 2 * numTokens);
    tokens[numTokens++] = id;
  }

  /** Tokens that the cache does not hold yet. */
  int[] pending() {
    return Arrays.copyOfRange(tokens, Math.toIntExact(cache.length()), numTokens);
  }

  /** Frees the key-value cache, waiting for a generation that is running. May be called twice. */
  @Override
  public synchronized void close() {
    if (closed) return;
    closed = true;
    try {
      model.forget(this);
    } finally {
      cache.close();
    }
  }
}
