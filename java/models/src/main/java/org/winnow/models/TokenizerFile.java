package org.winnow.models;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * A tokenizer.json that was checked from its beginning to its end: all that the native library
 * reads, and that ids agree with each other. The library ends the process on some wrong contents,
 * and gives tokens other ids than the file says.
 */
final class TokenizerFile {
  private static final long MAX_BYTES = 128L << 20; // the largest published ones have 35 MB
  private static final int MAX_ADDED = 1 << 14; // the library compares each with all before it

  private static final Set<String> SECTIONS =
      Set.of("normalizer", "pre_tokenizer", "post_processor", "decoder");

  private static final Set<String> UNUSED = Set.of("truncation", "padding"); // turned off later

  private final Path file;
  private final String json;
  private final Map<String, @Nullable Object> sections = new HashMap<>();
  private final List<AddedToken> added = new ArrayList<>();
  private final BitSet special = new BitSet();
  private final TokenizerModel model;
  private final @Nullable String[] texts; // by id; null where there is no token

  /**
   * A token that is found in a text before the model sees it.
   *
   * @param takesSpaces whether it takes the white space beside it
   * @param normalized whether it is looked for after normalization
   */
  record AddedToken(
      int id, String content, boolean special, boolean takesSpaces, boolean normalized) {}

  /**
   * Reads a file and checks it.
   *
   * @throws CheckpointException naming what is wrong
   * @throws org.winnow.UnsupportedFormatException naming a type that is not supported
   */
  static TokenizerFile read(Path file) {
    long size = CheckpointFile.size(file);
    if (size > MAX_BYTES)
      throw new CheckpointException(file, null, "at most " + MAX_BYTES + " bytes", size + " bytes");
    byte[] bytes;
    try {
      bytes = Files.readAllBytes(file);
    } catch (IOException e) {
      throw Json.unreadable(file, e);
    }
    return Json.parse(
        file,
        new ByteArrayInputStream(bytes),
        bytes.length,
        parser -> new TokenizerFile(file, new String(bytes, StandardCharsets.UTF_8), parser));
  }

  private TokenizerFile(Path file, String json, JsonParser parser) throws IOException {
    this.file = file;
    this.json = json;
    TokenizerTree tree = new TokenizerTree(file, parser);
    TokenizerModel read = null;
    Object tokens = null;
    Set<String> keys = new HashSet<>();
    if (parser.nextToken() != JsonToken.START_OBJECT)
      throw Json.unexpected(file, null, "an object", parser);
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      if (!keys.add(key)) throw Json.duplicate(file, key);
      parser.nextToken();
      if (key.equals("model")) read = TokenizerModel.read(file, parser, tree);
      else if (key.equals("added_tokens")) tokens = tree.value();
      else if (SECTIONS.contains(key)) sections.put(key, tree.value());
      else if (key.equals("version")) {
        if (!"1.0".equals(tree.value())) throw Json.unexpected(file, "version", "1.0", parser);
      } else if (UNUSED.contains(key)) parser.skipChildren();
      else throw bad(key, "a section of a tokenizer", "another key");
    }
    if (read == null) throw new CheckpointException(file, "model", "a tokenizer's model", "none");
    model = read;
    TokenizerParts parts = new TokenizerParts(file);
    sections.forEach(parts::check);
    readAdded(tokens);
    texts = texts();
  }

  private void readAdded(@Nullable Object tokens) {
    if (tokens == null) return;
    if (!(tokens instanceof List<?> list)) throw bad("added_tokens", "a list", tokens);
    if (list.size() > MAX_ADDED)
      throw bad("added_tokens", "at most " + MAX_ADDED + " entries", list.size());
    Map<String, Integer> ids = new HashMap<>();
    int largest = -1;
    for (Object element : list) {
      if (!(element instanceof Map<?, ?> entry)) throw bad("added_tokens", "objects", element);
      AddedToken token = added(entry);
      int id = idOf(token, ids, largest);
      largest = Math.max(largest, id);
      if (ids.put(token.content(), id) != null)
        throw bad("added_tokens", "one entry of this content", token.content());
      added.add(token);
      if (token.special()) special.set(id);
    }
  }

  private AddedToken added(Map<?, ?> entry) {
    Object content = entry.get("content");
    if (!(content instanceof String text) || text.isEmpty())
      throw bad("added_tokens", "a content", content);
    String name = name(text);
    for (String flag : new String[] {"single_word", "lstrip", "rstrip", "normalized", "special"})
      if (!(entry.get(flag) instanceof Boolean))
        throw bad(name, flag + " true or false", entry.get(flag));
    if (!(entry.get("id") instanceof Long id) || id < 0 || id >= TokenizerModel.MAX_IDS)
      throw bad(name, "an id in [0, " + TokenizerModel.MAX_IDS + ")", entry.get("id"));
    boolean normalized = Boolean.TRUE.equals(entry.get("normalized"));
    if (normalized && !keepsText(text, sections.get("normalizer")))
      throw bad(name, "a content that the normalizer leaves a text of", "normalized true");
    return new AddedToken(
        id.intValue(),
        text,
        Boolean.TRUE.equals(entry.get("special")),
        Boolean.TRUE.equals(entry.get("lstrip")) || Boolean.TRUE.equals(entry.get("rstrip")),
        normalized);
  }

  /** The library looks for normalized contents. An empty one would end the process. */
  private static boolean keepsText(String text, @Nullable Object normalizer) {
    if (normalizer == null) return true;
    Map<?, ?> part = (Map<?, ?>) normalizer;
    return switch (String.valueOf(part.get("type"))) {
      case "Sequence" ->
          ((List<?>) Objects.requireNonNull(part.get("normalizers")))
              .stream().allMatch(each -> keepsText(text, each));
      case "Replace" -> !"".equals(part.get("content"));
      case "Strip", "StripAccents", "BertNormalizer", "Nmt", "Precompiled" ->
          text.chars().anyMatch(c -> c < 0x80 && Character.isLetterOrDigit(c));
      default -> true;
    };
  }

  /** The id that the library gives a token. It must be the one that the file states. */
  private int idOf(AddedToken token, Map<String, Integer> ids, int largest) {
    Integer known = model.vocabulary().get(token.content());
    int next = Math.max(largest + 1, model.vocabulary().size());
    int id = known != null ? known : next;
    if (id != token.id())
      throw bad(
          name(token.content()),
          "id " + id + (known != null ? " as in the vocabulary" : ", the next one"),
          token.id());
    if (known == null && model.has(id)) throw bad(name(token.content()), "an id of its own", id);
    return id;
  }

  private @Nullable String[] texts() {
    int size = model.numIds();
    for (AddedToken token : added) size = Math.max(size, token.id() + 1);
    @Nullable String[] byId = new @Nullable String[size];
    model.vocabulary().forEach((text, id) -> byId[id] = text);
    for (AddedToken token : added) byId[token.id()] = token.content();
    return byId;
  }

  private static String name(String content) {
    return "added token " + Json.quote(content);
  }

  Path file() {
    return file;
  }

  /** The whole text of the file. */
  String json() {
    return json;
  }

  TokenizerModel model() {
    return model;
  }

  List<AddedToken> added() {
    return added;
  }

  /** A section as a tree, or null. */
  @Nullable Map<?, ?> section(String name) {
    return (Map<?, ?>) sections.get(name);
  }

  /** The token of an id, or null if there is none. */
  @Nullable String text(int id) {
    return id < texts.length ? texts[id] : null;
  }

  boolean isSpecial(int id) {
    return special.get(id);
  }

  /** The id of a token as a whole, or -1. */
  int id(String token) {
    for (AddedToken each : added) if (each.content().equals(token)) return each.id();
    return model.vocabulary().getOrDefault(token, -1);
  }

  /**
   * Requires every token to have a row in a model's embedding.
   *
   * @throws CheckpointException naming the token and its id
   */
  void requireWithin(int vocabularySize) {
    for (int id = vocabularySize; id < texts.length; id++) {
      String token = texts[id];
      if (token != null)
        throw bad(
            (special.get(id) || !model.has(id) ? "added " : "") + "token " + Json.quote(token),
            "an id below the model's vocab_size of " + vocabularySize,
            id);
    }
  }

  private CheckpointException bad(String key, String expected, @Nullable Object found) {
    return new CheckpointException(file, key, expected, Json.quote(String.valueOf(found)));
  }
}
