package org.winnow.models;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Converts text to token ids and back, as defined by the {@code tokenizer.json} of a checkpoint.
 * From a {@code tokenizer_config.json} beside it, only {@code add_bos_token} and {@code bos_token}
 * are used: some families (DeepSeek-V3) state only there that every text begins with {@code
 * bos_token}.
 *
 * <p>The Hugging Face tokenizers library does the work. Its jar contains the native code.
 *
 * <p>Thread-safe. {@link #close()} waits for running calls; closing again has no effect. Later
 * calls throw {@link IllegalStateException}.
 */
public final class Tokenizer implements AutoCloseable {
  static final String FILE = "tokenizer.json";
  private static final String CONFIG_FILE = "tokenizer_config.json";
  private static final int NONE = -1;

  private static final long MAX_BYTES = 512L << 20; // the largest vocabularies take about 30 MB

  private final NativeTokenizer tokenizer;
  private final int beginId; // the token that begins every text, or NONE

  private Tokenizer(NativeTokenizer tokenizer, Path config) {
    this.tokenizer = tokenizer;
    this.beginId = beginId(tokenizer, config);
  }

  /** The token that the configuration puts before every text, or NONE. */
  private static int beginId(NativeTokenizer tokenizer, Path config) {
    if (!CheckpointFile.isThere(config)) return NONE;
    Map<String, @Nullable Object> settings = Json.readTree(config);
    if (!Boolean.TRUE.equals(settings.get("add_bos_token"))) return NONE;
    Object token = settings.get("bos_token");
    if (token instanceof Map<?, ?> described) token = described.get("content");
    if (token == null) return NONE;
    long[] ids = tokenizer.encode(token.toString(), false);
    if (ids.length != 1)
      throw new CheckpointException(
          config, null, "bos_token of one token", Json.quote(token.toString()));
    return Math.toIntExact(ids[0]);
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
    long size = CheckpointFile.size(file);
    if (size > MAX_BYTES)
      throw new CheckpointException(file, null, "at most " + MAX_BYTES + " bytes", size + " bytes");
    Json.check(file, MAX_BYTES);
    NativeTokenizer library;
    try {
      library = new NativeTokenizer(Files.readString(file));
    } catch (IOException e) {
      throw Json.unreadable(file, e);
    } catch (RuntimeException e) { // what the library throws for wrong contents
      throw new CheckpointException(
          file, null, "a tokenizer", Json.quote(String.valueOf(e.getMessage())), e);
    }
    try {
      return new Tokenizer(library, file.resolveSibling(CONFIG_FILE));
    } catch (RuntimeException e) {
      library.close();
      throw e;
    }
  }

  /** Whether a folder holds a tokenizer. */
  public static boolean isIn(Path folder) {
    return CheckpointFile.isThere(folder.resolve(FILE));
  }

  /**
   * Converts text to ids. Special tokens that are written in the text ({@code <|endoftext|>})
   * become their ids. Unpaired surrogates become question marks.
   *
   * @param addSpecialTokens whether to add the special tokens that the tokenizer puts around every
   *     text, such as a token for its beginning
   * @throws IllegalStateException if closed
   */
  public int[] encode(String text, boolean addSpecialTokens) {
    String valid = new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
    long[] ids = tokenizer.encode(valid, addSpecialTokens);
    boolean begins = addSpecialTokens && beginId != NONE && (ids.length == 0 || ids[0] != beginId);
    int shift = begins ? 1 : 0;
    int[] result = new int[ids.length + shift];
    if (begins) result[0] = beginId;
    for (int i = 0; i < ids.length; i++) result[i + shift] = Math.toIntExact(ids[i]);
    return result;
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
    long[] wide = new long[ids.length];
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0)
        throw new IllegalArgumentException(
            "ids must not be negative, found " + ids[i] + " at " + i);
      wide[i] = ids[i];
    }
    return wide.length == 0 ? "" : tokenizer.decode(wide, skipSpecialTokens);
  }

  /**
   * Starts a stream that converts ids to text one at a time.
   *
   * @param context ids of the prompt, whose text is not returned again
   */
  public TextStream stream(int... context) {
    return new TextStream(ids -> decode(ids, true), Arrays.copyOf(context, context.length));
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
