package org.winnow.models;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.op.KvCache;

/**
 * One sequence of tokens and its key-value cache, for example a conversation. Each call continues
 * where the last one ended and computes only the new tokens. All sessions of a model share its
 * weights. Calls from several threads run one after the other.
 *
 * <p>The text of a sequence is one stream over all calls. Each piece is given to one listener,
 * once. If a call ends within a character, its bytes are held back, and the next call shows the
 * whole character. The text of a prompt is not shown again. A character that a prompt begins and
 * the model completes is shown as a whole. A stop text is not shown, but its tokens are part of the
 * sequence.
 *
 * <p>A listener may generate in other sessions of the model. It must not generate in its own
 * session or close it. A listener that waits for another thread which does so waits forever,
 * because the call of that thread waits for the one that runs. So do two listeners that wait for
 * each other's session.
 */
public final class Session implements AutoCloseable {
  private final LanguageModel model;
  private final KvCache cache;
  private int[] tokens = new int[64]; // the whole sequence; the cache holds its first tokens
  private int numTokens;
  private final @Nullable TextStream text; // of all tokens so far; null without a tokenizer
  private @Nullable SeenTokens seen; // from the first repetition penalty on
  private boolean generating;
  private boolean closed;

  Session(LanguageModel model, KvCache cache) {
    this.model = model;
    this.cache = cache;
    Tokenizer tokenizer = model.tokenizer();
    this.text = tokenizer == null ? null : tokenizer.stream();
  }

  /** Length of the sequence: all prompts and all generated tokens. */
  public synchronized int numTokens() {
    return numTokens;
  }

  /**
   * Appends a text and generates its continuation. If the sequence is empty, the tokenizer adds the
   * special tokens that begin a text.
   *
   * <p>A text that is too long for the context is refused before it is encoded, where the tokenizer
   * bounds the bytes of a token. A longer text is encoded only until it is too long. The exception
   * then states the fewest tokens that the text can have.
   *
   * @throws org.winnow.ContextLengthException if the sequence would exceed the context; nothing has
   *     run then
   * @throws IllegalArgumentException if the text is too long to be encoded, see {@link
   *     Tokenizer#encode(String, boolean)}
   * @throws IllegalStateException if the session or the model is closed, or if the model has no
   *     tokenizer
   * @see #generate(int[], GenerateOptions, TokenListener)
   */
  public synchronized GenerationResult generate(
      String prompt, GenerateOptions options, TokenListener listener) {
    requireReady();
    Tokenizer tokenizer = model.requireTokenizer();
    int toMake = options.maxTokens() == GenerateOptions.FILL_CONTEXT ? 1 : options.maxTokens();
    TextRoom room = new TextRoom(cache.contextLimit(), (long) numTokens + toMake);
    return generate(tokenizer.encode(prompt, numTokens == 0, room), options, listener);
  }

  /**
   * Appends tokens and generates their continuation. If a step fails, the session keeps the prompt
   * and the tokens generated before that step.
   *
   * @param prompt token ids to append; may be empty unless the sequence is empty
   * @throws org.winnow.ContextLengthException if the sequence, the prompt and {@code maxTokens}
   *     together exceed the context, or if {@code FILL_CONTEXT} finds no room for one token;
   *     nothing has run then
   * @throws org.winnow.ExpertReadException if weights cannot be read
   * @throws IllegalArgumentException if an id is not in the vocabulary, if both the sequence and
   *     the prompt are empty, or if {@code logprobs} is more than the vocabulary; nothing has run
   *     then
   * @throws IllegalStateException if the session or the model is closed, if a listener of this
   *     session calls it, or if there are stop texts and the model has no tokenizer
   */
  public synchronized GenerationResult generate(
      int[] prompt, GenerateOptions options, TokenListener listener) {
    requireReady();
    generating = true;
    try {
      return model.generate(this, prompt, options, listener);
    } finally {
      generating = false;
    }
  }

  private void requireReady() {
    if (closed) throw new IllegalStateException("session is closed");
    if (generating)
      throw new IllegalStateException("a listener must not generate in its own session");
  }

  KvCache cache() {
    return cache;
  }

  /** Appends tokens whose text is known. */
  void append(int[] prompt) {
    for (int id : prompt) add(id);
    if (text != null) text.skip(prompt);
  }

  /** Appends a new token and returns the text that it completes. */
  String append(int id) {
    add(id);
    return text == null ? "" : text.append(id);
  }

  private void add(int id) {
    if (numTokens == tokens.length) tokens = Arrays.copyOf(tokens, 2 * numTokens);
    tokens[numTokens++] = id;
  }

  /** The distinct tokens of the sequence, [distinct] i32, valid until the next call. */
  Tensor seen(Backend backend) {
    if (seen == null)
      seen =
          new SeenTokens(backend, Math.min(model.config().vocabularySize(), cache.contextLimit()));
    return seen.advance(tokens, numTokens);
  }

  /** Tokens at the end of the sequence that the cache does not hold yet. */
  int[] pending() {
    return Arrays.copyOfRange(tokens, Math.toIntExact(cache.length()), numTokens);
  }

  /**
   * Waits for a running generation, then frees the key-value cache. Closing again has no effect.
   *
   * @throws IllegalStateException if a listener of this session calls it
   */
  @Override
  public synchronized void close() {
    if (closed) return;
    if (generating) throw new IllegalStateException("close() called from inside a generation");
    closed = true;
    try (cache;
        SeenTokens ids = seen) {
      model.forget(this);
    }
  }
}
