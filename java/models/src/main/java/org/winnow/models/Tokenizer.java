package org.winnow.models;

import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.ContextLengthException;

/**
 * Converts text to token ids and back, as defined by the {@code tokenizer.json} of a checkpoint.
 * From a {@code tokenizer_config.json} beside it, only {@code add_bos_token} and {@code bos_token}
 * are used: some families (DeepSeek-V3) state only there that every text begins with {@code
 * bos_token}.
 *
 * <p>The Hugging Face tokenizers library encodes. Its jar contains the native code. The file is
 * checked before the library reads it, and texts are decoded in Java.
 *
 * <p>Thread-safe. {@link #close()} waits for running calls; closing again has no effect. Later
 * calls throw {@link IllegalStateException}.
 */
public final class Tokenizer implements AutoCloseable {
  static final String FILE = "tokenizer.json";
  private static final String CONFIG_FILE = "tokenizer_config.json";
  private static final int NONE = -1;

  private final NativeTokenizer tokenizer;
  private final TokenEncoder encoder;
  private final TokenizerFile tokens;
  private final TokenDecoder decoder;
  private final int beginId; // the token that begins every text, or NONE

  private Tokenizer(
      NativeTokenizer tokenizer, TokenizerFile tokens, TokenDecoder decoder, int beginId) {
    this.tokenizer = tokenizer;
    this.encoder = new TokenEncoder(tokenizer, tokens);
    this.tokens = tokens;
    this.decoder = decoder;
    this.beginId = beginId;
  }

  /** The token that the configuration puts before every text, or NONE. */
  private static int beginId(TokenizerFile tokens, Path config) {
    if (!CheckpointFile.isThere(config)) return NONE;
    Map<String, @Nullable Object> settings = Json.readTree(config);
    Object adds = settings.get("add_bos_token");
    if (adds != null && !(adds instanceof Boolean))
      throw new CheckpointException(
          config, "add_bos_token", "true or false", Json.quote(adds.toString()));
    Object token = settings.get("bos_token");
    if (token instanceof Map<?, ?> described) token = described.get("content");
    if (token != null && !(token instanceof String))
      throw new CheckpointException(
          config,
          "bos_token",
          "a text or an object with its content",
          Json.quote(token.toString()));
    if (!Boolean.TRUE.equals(adds) || token == null) return NONE;
    int id = tokens.id((String) token);
    if (id < 0)
      throw new CheckpointException(
          config, null, "bos_token of one token", Json.quote(token.toString()));
    return id;
  }

  /**
   * Opens a tokenizer.
   *
   * @param path a {@code tokenizer.json}, or the folder that holds one
   * @throws CheckpointException if there is none, or if it or its configuration is not valid
   */
  public static Tokenizer open(Path path) {
    Path found = ModelFolder.resolve(path);
    Path file = Files.isDirectory(found) ? found.resolve(FILE) : found;
    TokenizerFile tokens = TokenizerFile.read(file);
    TokenDecoder decoder = new TokenDecoder(tokens);
    int beginId = beginId(tokens, file.resolveSibling(CONFIG_FILE));
    try {
      return new Tokenizer(new NativeTokenizer(tokens.json()), tokens, decoder, beginId);
    } catch (RuntimeException e) { // what the library throws for wrong contents
      throw new CheckpointException(
          file, null, "a tokenizer", Json.quote(String.valueOf(e.getMessage())), e);
    }
  }

  /**
   * Checks what {@link #open} checks, except what only the library knows.
   *
   * @return the tokens of the file
   * @throws CheckpointException if it or its configuration is not valid
   */
  static TokenizerFile check(Path folder) {
    TokenizerFile tokens = TokenizerFile.read(folder.resolve(FILE));
    new TokenDecoder(tokens);
    beginId(tokens, folder.resolve(CONFIG_FILE));
    return tokens;
  }

  /**
   * Requires every token to have a row in a model's embedding.
   *
   * @throws CheckpointException naming the first token beyond it
   */
  void requireWithin(int vocabularySize) {
    tokens.requireWithin(vocabularySize);
  }

  /** Whether a folder holds a tokenizer. */
  public static boolean isIn(Path folder) {
    return CheckpointFile.isThere(folder.resolve(FILE));
  }

  /**
   * Converts text to ids. Special tokens that are written in the text ({@code <|endoftext|>})
   * become their ids. Unpaired surrogates become question marks.
   *
   * <p>A text of more than 1 MiB of UTF-8 is encoded in parts, which are cut behind a word or a
   * line where that changes no id.
   *
   * @param addSpecialTokens whether to add the special tokens that the tokenizer puts around every
   *     text, such as a token for its beginning
   * @throws IllegalArgumentException if a text of more than 1 MiB has no such place, or if the
   *     tokenizer is of a kind that has none
   * @throws CheckpointException if the tokenizer has neither a token for a character of the text
   *     nor one for unknown characters
   * @throws IllegalStateException if closed
   */
  public int[] encode(String text, boolean addSpecialTokens) {
    return encode(text, addSpecialTokens, TextRoom.UNLIMITED);
  }

  /**
   * As {@link #encode(String, boolean)}, within a room.
   *
   * @throws ContextLengthException if the text is sure to need more; where the tokenizer bounds the
   *     bytes of a token, before it is encoded
   */
  int[] encode(String text, boolean addSpecialTokens, TextRoom room) {
    return begun(encoder.encode(text, addSpecialTokens, room), addSpecialTokens);
  }

  /**
   * Converts all text of a reader to ids, as {@link #encode(String, boolean)} does. Only the ids
   * and a part of the text are in memory.
   *
   * @throws IOException if the reader fails
   */
  public int[] encode(Reader text, boolean addSpecialTokens) throws IOException {
    return encode(text, addSpecialTokens, TextRoom.UNLIMITED);
  }

  /**
   * As {@link #encode(Reader, boolean)}, within a room.
   *
   * @throws ContextLengthException if the text is sure to need more; the rest is then not read
   */
  int[] encode(Reader text, boolean addSpecialTokens, TextRoom room) throws IOException {
    return begun(encoder.encode(text, addSpecialTokens, room), addSpecialTokens);
  }

  private int[] begun(int[] ids, boolean addSpecialTokens) {
    if (!addSpecialTokens || beginId == NONE || (ids.length > 0 && ids[0] == beginId)) return ids;
    int[] begun = new int[ids.length + 1];
    begun[0] = beginId;
    System.arraycopy(ids, 0, begun, 1, ids.length);
    return begun;
  }

  /**
   * Converts ids to text. Ids that are not in the vocabulary are skipped. Bytes that are not UTF-8
   * become U+FFFD.
   *
   * @param skipSpecialTokens whether to leave out special tokens
   * @throws IllegalArgumentException if an id is negative
   * @throws IllegalStateException if closed
   */
  public String decode(int[] ids, boolean skipSpecialTokens) {
    requireValid(ids);
    TextStream stream = new TextStream(decoder, skipSpecialTokens, tokenizer::requireOpen);
    for (int id : ids) stream.add(id);
    return stream.finish();
  }

  private static void requireValid(int[] ids) {
    for (int i = 0; i < ids.length; i++)
      if (ids[i] < 0)
        throw new IllegalArgumentException(
            "ids must not be negative, found " + ids[i] + " at " + i);
  }

  /** The bytes of UTF-8 of the text of these ids, without special tokens. */
  long textBytes(int[] ids) {
    requireValid(ids);
    TextStream stream = stream();
    long bytes = 0;
    for (int id : ids) bytes += TextLimits.utf8Bytes(stream.append(id));
    return bytes + TextLimits.utf8Bytes(stream.finish());
  }

  /**
   * Starts a stream that converts ids to text one at a time, without special tokens.
   *
   * @param context ids of the prompt, whose text is not returned
   */
  public TextStream stream(int... context) {
    TextStream stream = new TextStream(decoder, true, tokenizer::requireOpen);
    stream.skip(context);
    return stream;
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
