package org.winnow.models;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.winnow.CheckpointException;
import org.winnow.ContextLengthException;
import org.winnow.Tensor;
import org.winnow.op.KvCache;
import org.winnow.op.Sampler;
import org.winnow.memory.ExpertCounters;

/**
 * A decoder from a checkpoint, ready to generate text. The weights of its experts stay in the files
 * until a token chooses them; a budget bounds how many of them are in memory at a time.
 *
 * <pre>{@code
 * try (LanguageModel model = LanguageModel.open(Path.of("models/kjv-moe"),
 * LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.25)))) {
 *   model.generate("<|endoftext|>Psalm 151\n", GenerateOptions.sampling(140, 0.8, 7), (id, text) ->
 *   System.out.print(text));
 * }
 * }</pre>
 *
 * <p>May be used from several threads: generations take turns, token by token, and each has a
 * sequence of its own. The results are the same bits as alone. {@link #close()} ends running
 * generations as {@link FinishReason#CANCELLED} and waits for them; use after that throws {@link
 * IllegalStateException}.
 */
public final class LanguageModel implements AutoCloseable {
  /** Tokens of one step of a prompt. Results do not depend on it. */
  static final int CHUNK_TOKENS = 512;

  /** Logits of so many tokens are in memory at a time: with a vocabulary of 150,000, 38 MB. */
  private static final int LOGIT_ROWS = 64;

  private final LoadedModel loaded;
  private final Tokenizer tokenizer; // or null
  private final int chunkTokens;
  private final ReentrantLock steps = new ReentrantLock(true); // fair: generations take turns
  private final Set<Session> sessions = ConcurrentHashMap.newKeySet();
  private final Running running = new Running();

  private LanguageModel(LoadedModel loaded, Tokenizer tokenizer, int chunkTokens) {
    this.loaded = loaded;
    this.tokenizer = tokenizer;
    this.chunkTokens = chunkTokens;
  }

  /**
   * Reads everything but the experts.
   *
   * @param folder config.json, safetensors in one file or in shards, and tokenizer.json if text is
   *     to be understood
   * @throws org.winnow.CheckpointException if a file or tensor is missing or wrong; nothing stays
   *     open
   * @throws org.winnow.UnsupportedFormatException if the family or the type of the weights is not
   *     computed yet
   * @throws org.winnow.BackendUnavailableException if the backend that is asked for cannot run here
   * @throws org.winnow.BudgetException if the budget is less than one expert, or with the other
   *     weights more than the memory of this machine or container
   */
  public static LanguageModel open(Path folder, LoadOptions options) {
    return open(folder, options, CHUNK_TOKENS);
  }

  static LanguageModel open(Path folder, LoadOptions options, int chunkTokens) {
    if (Files.isRegularFile(folder))
      throw new CheckpointException(folder, null, "a folder", "a file");
    Tokenizer tokenizer = Tokenizer.isIn(folder) ? Tokenizer.open(folder) : null;
    try {
      return new LanguageModel(LoadedModel.open(folder, options), tokenizer, chunkTokens);
    } catch (RuntimeException | Error e) {
      if (tokenizer != null) tokenizer.close();
      throw e;
    }
  }

  public ModelConfig config() {
    return loaded.config();
  }

  /** The tokenizer, open for as long as the model, or null if the checkpoint has none. */
  public Tokenizer tokenizer() {
    return tokenizer;
  }

  /** What the expert cache has done so far, or null for a dense model. */
  public ExpertCounters expertCounters() {
    return loaded.expertCounters();
  }

  /** Bytes of all experts at the size they have in memory; 0 for a dense model. */
  public long expertBytes() {
    return loaded.expertBytes();
  }

  /** Bytes that experts may take in memory; 0 for a dense model. */
  public long expertBudgetBytes() {
    return loaded.expertBudgetBytes();
  }

  /** Bytes of all other weights, which stay in memory. */
  public long residentWeightBytes() {
    return loaded.residentWeightBytes();
  }

  /** A new, empty sequence; close it to free its keys and values. */
  public Session newSession() {
    running.enter();
    try {
      Session session = new Session(this, loaded.newKvCache());
      sessions.add(session);
      return session;
    } finally {
      running.exit();
    }
  }

  /**
   * Generates after a text; the tokenizer adds what it begins a text with.
   *
   * @throws IllegalStateException if the model is closed or has no tokenizer
   * @see Session#generate(int[], GenerateOptions, TokenListener)
   */
  public GenerationResult generate(String prompt, GenerateOptions options, TokenListener listener) {
    try (Session session = newSession()) {
      return session.generate(prompt, options, listener);
    }
  }

  /**
   * Generates after these tokens, in a sequence of its own.
   *
   * @throws org.winnow.ContextLengthException if the prompt and {@code maxTokens} exceed the
   *     context; nothing has run then
   * @see Session#generate(int[], GenerateOptions, TokenListener)
   */
  public GenerationResult generate(int[] prompt, GenerateOptions options, TokenListener listener) {
    try (Session session = newSession()) {
      return session.generate(prompt, options, listener);
    }
  }

  /**
   * Computes a sequence from its beginning and shows what is computed.
   *
   * @param ids the sequence
   * @param firstLogit the first position whose logits are wanted
   * @throws org.winnow.ContextLengthException if it is longer than the context
   * @throws IllegalArgumentException if an id is not in the vocabulary, or there is none
   * @throws IllegalStateException if the model is closed
   */
  public void forward(int[] ids, int firstLogit, ForwardListener listener) {
    running.enter();
    try (KvCache cache = loaded.newKvCache()) {
      if (ids.length == 0) throw new IllegalArgumentException("ids must not be empty");
      if (ids.length > cache.contextLimit())
        throw new ContextLengthException(cache.contextLimit(), ids.length);
      try {
        for (int begin = 0; begin < ids.length; begin += chunkTokens)
          forwardChunk(cache, ids, begin, firstLogit, listener);
      } finally {
        forget(cache);
      }
    } finally {
      running.exit();
    }
  }

  private void forwardChunk(
      KvCache cache, int[] ids, int begin, int firstLogit, ForwardListener listener) {
    if (running.isClosing()) throw new IllegalStateException("model is closed");
    int end = Math.min(begin + chunkTokens, ids.length);
    step(
        cache,
        Arrays.copyOfRange(ids, begin, end),
        listener,
        hidden -> {
          for (int row = Math.max(begin, firstLogit); row < end; row += LOGIT_ROWS) {
            int rowEnd = Math.min(row + LOGIT_ROWS, end);
            Tensor rows = hidden.slice(row - begin, rowEnd - begin);
            listener.onLogits(row, loaded.decoder().logits(rows));
          }
          return null;
        });
  }

  GenerationResult generate(
      Session session, int[] prompt, GenerateOptions options, TokenListener listener) {
    running.enter();
    try {
      return new Generation(this, session, options, listener).run(prompt);
    } finally {
      running.exit();
    }
  }

  /** Appends tokens to a sequence without looking at what comes next. */
  void step(KvCache cache, int[] ids) {
    step(cache, ids, ForwardListener.NONE, hidden -> null);
  }

  /** Appends tokens to a sequence and chooses the next one. */
  int step(KvCache cache, int[] ids, Sampler sampler) {
    return step(
        cache,
        ids,
        ForwardListener.NONE,
        hidden -> {
          Tensor logits = loaded.decoder().logits(hidden.slice(ids.length - 1, ids.length));
          return sampler.sample(loaded.backend(), logits.reshape(logits.size()));
        });
  }

  /**
   * One step of a sequence; what is made of its hidden states is made before the next step, of
   * whatever sequence, begins.
   */
  private <R> R step(KvCache cache, int[] ids, ForwardListener listener, Function<Tensor, R> use) {
    if (steps.isHeldByCurrentThread())
      throw new IllegalStateException("a step begun from inside a forward listener");
    steps.lock();
    try {
      return use.apply(loaded.decoder().step(cache, ids, listener));
    } finally {
      steps.unlock();
    }
  }

  int chunkTokens() {
    return chunkTokens;
  }

  boolean isClosing() {
    return running.isClosing();
  }

  Tokenizer requireTokenizer() {
    if (tokenizer == null)
      throw new IllegalStateException("model has no " + Tokenizer.FILE + ": give token ids");
    return tokenizer;
  }

  private void closeSessions() {
    RuntimeException failure = null;
    for (Session session : sessions) {
      try {
        session.close();
      } catch (RuntimeException e) { // the device is lost, say: the others go all the same
        if (failure == null) failure = e;
        else failure.addSuppressed(e);
      }
    }
    if (failure != null) throw failure;
  }

  void forget(Session session) {
    sessions.remove(session);
    forget(session.cache());
  }

  /** Gives up what was captured of a sequence that ends. */
  private void forget(KvCache cache) {
    steps.lock();
    try {
      loaded.decoder().forget(cache);
    } finally {
      steps.unlock();
    }
  }

  /**
   * Ends running generations at their next step and waits for them, then frees everything, sessions
   * included. May be called twice.
   *
   * @throws IllegalStateException if called from inside a generation, by a listener
   */
  @Override
  public void close() {
    if (!running.close()) return;
    try (tokenizer;
        loaded) {
      closeSessions();
    }
  }
}
