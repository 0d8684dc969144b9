package org.winnow.models;

import java.io.IOException;
import java.io.Reader;
import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.Set;
import java.util.WeakHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.winnow.ContextLengthException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.memory.ExpertCounters;
import org.winnow.op.KvCache;

/**
 * A decoder read from a checkpoint, ready to generate text. An expert's weights stay in the file
 * until a token chooses that expert. A budget limits the memory that experts use.
 *
 * <pre>{@code
 * LoadOptions options = LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.25));
 * try (LanguageModel model = LanguageModel.open(Path.of("models/kjv-moe"), options)) {
 *   model.generate(
 *       "<|endoftext|>Psalm 151\n",
 *       GenerateOptions.sampling(140, 0.8, 7),
 *       (id, text) -> System.out.print(text));
 * }
 * }</pre>
 *
 * <p>Thread-safe. Concurrent generations take turns token by token, each on its own sequence. A
 * generation produces the same bits as when it runs alone. {@link #close()} ends running
 * generations with {@link FinishReason#CANCELLED} and waits for them. After that, opening a
 * session, generating and {@link #forward} throw {@link IllegalStateException}.
 *
 * <p>A model or a session that was not closed releases its files, threads and memory some time
 * after it has been collected.
 */
public final class LanguageModel implements AutoCloseable {
  /** Prompt tokens per step. Results do not depend on it. */
  static final int CHUNK_TOKENS = 512;

  /** Tokens whose logits are in memory at the same time: 38 MB for a vocabulary of 150,000. */
  private static final int LOGIT_ROWS = 64;

  /** Releases what sessions that were not closed have left. */
  private static final Cleaner CLEANER = Cleaner.create();

  private final LoadedModel loaded;
  private final @Nullable Tokenizer tokenizer;
  private final int chunkTokens;
  private final ReentrantLock steps = new ReentrantLock(true); // fair: generations take turns
  private final Set<Session> sessions = // one that its owner has dropped is collected
      Collections.synchronizedSet(Collections.newSetFromMap(new WeakHashMap<>()));
  private final Running running = new Running();

  private LanguageModel(LoadedModel loaded, @Nullable Tokenizer tokenizer, int chunkTokens) {
    this.loaded = loaded;
    this.tokenizer = tokenizer;
    this.chunkTokens = chunkTokens;
  }

  /**
   * Opens a checkpoint and reads all weights except the experts.
   *
   * @param path a folder with config.json, the weights in one safetensors file or in shards with an
   *     index, and tokenizer.json; or the name of a model in the local cache of Hugging Face,
   *     {@code owner/name} or {@code owner/name@revision}. A folder of that name comes first.
   *     Without tokenizer.json the model reads and generates token ids only
   * @throws org.winnow.CheckpointException if a file or tensor is missing or wrong; no file stays
   *     open
   * @throws org.winnow.UnsupportedFormatException if the family of the model or the type of its
   *     weights is not supported
   * @throws org.winnow.BackendUnavailableException if the requested backend cannot run on this
   *     machine
   * @throws org.winnow.BudgetException if the budget is smaller than one expert, or if the budget
   *     plus all other weights exceeds the memory of the machine, container or device
   */
  public static LanguageModel open(Path path, LoadOptions options) {
    return open(path, options, CHUNK_TOKENS);
  }

  static LanguageModel open(Path path, LoadOptions options, int chunkTokens) {
    Path folder = ModelFolder.folder(path);
    try (OpeningTokenizer opening = new OpeningTokenizer(folder)) {
      LoadedModel loaded;
      try {
        loaded =
            LoadedModel.open(folder, options.withProgress(opening.watched(options.progress())));
      } catch (RuntimeException | Error e) {
        opening.opened(); // a fault of the tokenizer comes first
        throw e;
      }
      return open(loaded, opening, chunkTokens);
    }
  }

  private static LanguageModel open(LoadedModel loaded, OpeningTokenizer opening, int chunkTokens) {
    try {
      @Nullable Tokenizer tokenizer = opening.opened();
      if (tokenizer != null) tokenizer.requireWithin(loaded.config().vocabularySize());
      LanguageModel model = new LanguageModel(loaded, tokenizer, chunkTokens);
      opening.handOver();
      return model;
    } catch (RuntimeException | Error e) {
      loaded.close();
      throw e;
    }
  }

  /**
   * How the makers of the checkpoint recommend to generate, or null if the checkpoint has no {@code
   * generation_config.json}.
   *
   * @throws org.winnow.CheckpointException naming the key of that file that is wrong
   */
  public @Nullable GenerationDefaults generationDefaults() {
    Path folder = config().file().toAbsolutePath().getParent();
    return folder == null ? null : GenerationDefaults.read(folder);
  }

  public ModelConfig config() {
    return loaded.config();
  }

  /** The tokenizer, or null if the checkpoint has none. Closing the model closes it. */
  public @Nullable Tokenizer tokenizer() {
    return tokenizer;
  }

  /**
   * The ids of a text that begins a sequence, with the special tokens that begin one. Where the
   * tokenizer bounds the bytes of a token, a text that is too long for the context is refused
   * before it is encoded. Any other is encoded only until it is too long.
   *
   * @throws ContextLengthException with the fewest tokens that the text can have, and one to
   *     generate, if they do not fit into the context
   * @throws IllegalArgumentException if the text is too long to be encoded, see {@link
   *     Tokenizer#encode(String, boolean)}
   * @throws IllegalStateException if the model is closed or has no tokenizer
   */
  public int[] encodePrompt(String prompt) {
    return requireTokenizer().encode(prompt, true, promptRoom());
  }

  /**
   * The ids of a text that begins a sequence, as {@link #encodePrompt(String)}. The text is read as
   * it is encoded, and only while it may fit into the context.
   *
   * @throws java.io.IOException if the reader fails
   */
  public int[] encodePrompt(Reader prompt) throws IOException {
    return requireTokenizer().encode(prompt, true, promptRoom());
  }

  private TextRoom promptRoom() {
    return new TextRoom(config().contextLength(), 1); // one to generate
  }

  /**
   * What activations are multiplied by matrices in: bf16 if {@link LoadOptions#activations} says so
   * and a matrix is stored in another type than f32, else f32.
   */
  public DType activations() {
    return loaded.activations();
  }

  /** Counters of the expert cache since the model was opened, or null for a dense model. */
  public @Nullable ExpertCounters expertCounters() {
    return loaded.expertCounters();
  }

  /** Bytes of memory that all experts together need; 0 for a dense model. */
  public long expertBytes() {
    return loaded.expertBytes();
  }

  /** Limit on the bytes of memory that experts use; 0 for a dense model. */
  public long expertBudgetBytes() {
    return loaded.expertBudgetBytes();
  }

  /** Bytes of all other weights, which always stay in memory. */
  public long residentWeightBytes() {
    return loaded.residentWeightBytes();
  }

  /** Type of what the key-value cache of a session holds. */
  public DType cacheType() {
    return loaded.cacheType();
  }

  /** Bytes that a token needs in the key-value cache of a session. */
  public long cacheBytesPerToken() {
    return loaded.cacheBytesPerToken();
  }

  /** Starts a new, empty sequence. Closing the session frees its key-value cache. */
  public Session newSession() {
    running.enter();
    try {
      KvCache cache = loaded.newKvCache();
      Session session = new Session(this, cache);
      sessions.add(session);
      CLEANER.register(session, () -> release(cache));
      return session;
    } finally {
      running.exit();
    }
  }

  /**
   * Generates the continuation of a text in a new sequence. The tokenizer adds the special tokens
   * that begin a text.
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
   * Generates the continuation of these tokens in a new sequence.
   *
   * @throws org.winnow.ContextLengthException if the prompt and {@code maxTokens} together exceed
   *     the context; nothing has run then
   * @see Session#generate(int[], GenerateOptions, TokenListener)
   */
  public GenerationResult generate(int[] prompt, GenerateOptions options, TokenListener listener) {
    try (Session session = newSession()) {
      return session.generate(prompt, options, listener);
    }
  }

  /**
   * Computes a sequence from its beginning and passes the results to a listener.
   *
   * @param ids the sequence
   * @param firstLogit the first position whose logits are computed
   * @throws org.winnow.ContextLengthException if the sequence is longer than the context
   * @throws IllegalArgumentException if an id is not in the vocabulary, or if there are no ids
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

  /** Appends tokens to a sequence without computing logits. */
  void step(KvCache cache, int[] ids) {
    step(cache, ids, ForwardListener.NONE, hidden -> null);
  }

  /** Appends tokens to a sequence and chooses the next one. */
  TokenChooser.Choice step(KvCache cache, int[] ids, TokenChooser chooser) {
    return step(
        cache,
        ids,
        ForwardListener.NONE,
        hidden -> {
          Tensor logits = loaded.decoder().logits(hidden.slice(ids.length - 1, ids.length));
          return chooser.choose(loaded.backend(), logits.reshape(logits.size()));
        });
  }

  /**
   * Runs one step of a sequence and applies {@code use} to the hidden states. No other step, of
   * this or another sequence, begins before {@code use} has returned.
   */
  private <R extends @Nullable Object> R step(
      KvCache cache, int[] ids, ForwardListener listener, Function<Tensor, R> use) {
    if (steps.isHeldByCurrentThread())
      throw new IllegalStateException("a forward listener must not run the model");
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

  /** Sessions that are neither closed nor collected; for tests. */
  int numSessions() {
    return sessions.size();
  }

  boolean isClosing() {
    return running.isClosing();
  }

  Tokenizer requireTokenizer() {
    if (tokenizer == null)
      throw new IllegalStateException(
          "model has no " + Tokenizer.FILE + ": pass token ids instead");
    return tokenizer;
  }

  private void closeSessions() {
    RuntimeException failure = null;
    for (Session session : sessions.toArray(new Session[0])) {
      try {
        session.close();
      } catch (RuntimeException e) { // the device may be lost; the other sessions are closed anyway
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

  /** Releases the cache of a session that has been collected; again if it was closed. */
  private void release(KvCache cache) {
    try (cache) {
      forget(cache);
    }
  }

  /** Releases the captured steps of a sequence that is being closed. */
  private void forget(KvCache cache) {
    steps.lock();
    try {
      loaded.decoder().forget(cache);
    } finally {
      steps.unlock();
    }
  }

  /**
   * Ends running generations at their next step, waits for them and frees everything, open sessions
   * included. Closing again has no effect.
   *
   * @throws IllegalStateException if a listener calls it during a generation
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
