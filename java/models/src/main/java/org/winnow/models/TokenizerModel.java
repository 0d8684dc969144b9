package org.winnow.models;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/**
 * The {@code model} of a tokenizer.json: its vocabulary and what the merges, the unknown token and
 * the other settings say about it.
 */
final class TokenizerModel {
  /** Ids lie below this number. The largest published vocabularies have 262,144 ids. */
  static final int MAX_IDS = 1 << 22;

  private final Path file;
  private final Map<String, @Nullable Object> settings = new HashMap<>(); // all but the next ones
  private final Map<String, Integer> vocabulary = new HashMap<>();
  private final BitSet ids = new BitSet();
  private final List<String[]> merges = new ArrayList<>();
  private boolean hasMerges;
  private @Nullable Boolean isScored; // whether the vocabulary is a list with scores

  private TokenizerModel(Path file) {
    this.file = file;
  }

  /** Reads and checks the object that begins at the parser's place. */
  static TokenizerModel read(Path file, JsonParser parser, TokenizerTree tree) throws IOException {
    TokenizerModel model = new TokenizerModel(file);
    tree.require(JsonToken.START_OBJECT, "model", "an object");
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      if (key.equals("vocab")) model.readVocabulary(parser, tree);
      else if (key.equals("merges")) model.readMerges(parser, tree);
      else if (model.settings.containsKey(key)) throw Json.duplicate(file, key);
      else model.settings.put(key, tree.value());
    }
    model.check();
    return model;
  }

  private void readVocabulary(JsonParser parser, TokenizerTree tree) throws IOException {
    if (isScored != null) throw Json.duplicate(file, "vocab");
    isScored = parser.currentToken() == JsonToken.START_ARRAY;
    if (!isScored) {
      tree.require(JsonToken.START_OBJECT, "vocab", "an object or a list");
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String token = parser.currentName();
        parser.nextToken();
        tree.require(JsonToken.VALUE_NUMBER_INT, "vocab", "an id");
        add(token, parser.getNumberValue() instanceof Integer id ? id : -1, parser.getText());
      }
      return;
    }
    while (parser.nextToken() == JsonToken.START_ARRAY) {
      parser.nextToken();
      tree.require(JsonToken.VALUE_STRING, "vocab", "a token and its score");
      String token = parser.getText();
      if (parser.nextToken() == null || !parser.currentToken().isNumeric())
        throw Json.unexpected(file, "vocab", "a score", parser);
      if (!Double.isFinite(parser.getDoubleValue()))
        throw Json.unexpected(file, "vocab", "a finite score", parser);
      add(token, vocabulary.size(), "entry " + vocabulary.size());
      parser.nextToken();
      tree.require(JsonToken.END_ARRAY, "vocab", "a token and its score only");
    }
    tree.require(JsonToken.END_ARRAY, "vocab", "a token and its score");
  }

  private void add(String token, int id, String found) {
    if (id < 0 || id >= MAX_IDS)
      throw bad("token " + Json.quote(token), "an id in [0, " + MAX_IDS + ")", found);
    if (vocabulary.put(token, id) != null) throw Json.duplicate(file, token);
    if (ids.get(id)) throw bad("token " + Json.quote(token), "an id of its own", found);
    ids.set(id);
  }

  private void readMerges(JsonParser parser, TokenizerTree tree) throws IOException {
    if (hasMerges) throw Json.duplicate(file, "merges");
    hasMerges = true;
    tree.require(JsonToken.START_ARRAY, "merges", "a list");
    boolean areTexts = false;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      boolean isText = parser.currentToken() == JsonToken.VALUE_STRING;
      if (!merges.isEmpty() && isText != areTexts)
        throw Json.unexpected(file, "merges", "all texts or all pairs", parser);
      areTexts = isText;
      if (merges.size() == MAX_IDS) throw bad("merges", "at most " + MAX_IDS + " entries", "more");
      String[] pair = isText ? split(parser.getText()) : pair(parser, tree);
      if (pair.length != 0) merges.add(pair);
    }
  }

  private String[] split(String merge) {
    if (merge.startsWith("#version")) return new String[0]; // the library skips it
    String[] pair = merge.split(" ", -1);
    if (pair.length != 2) throw bad("merges", "two tokens with a space between", merge);
    return pair;
  }

  private static String[] pair(JsonParser parser, TokenizerTree tree) throws IOException {
    tree.require(JsonToken.START_ARRAY, "merges", "two tokens");
    String[] pair = new String[2];
    for (int i = 0; i < 2; i++) {
      parser.nextToken();
      tree.require(JsonToken.VALUE_STRING, "merges", "two tokens");
      pair[i] = parser.getText();
    }
    parser.nextToken();
    tree.require(JsonToken.END_ARRAY, "merges", "two tokens");
    return pair;
  }

  private void check() {
    if (isScored == null) throw bad("model", "a vocab", "none");
    if (vocabulary.isEmpty()) throw bad("vocab", "at least one token", "none");
    String type = type();
    boolean scored = type.equals("Unigram");
    if (scored != isScored)
      throw bad("vocab", scored ? "tokens with scores" : "tokens with ids", "the other");
    switch (type) {
      case "BPE" -> checkPairs();
      case "WordPiece" -> {
        requireText("continuing_subword_prefix");
        requireKnown("unk_token");
        requireCount("max_input_chars_per_word", Integer.MAX_VALUE);
      }
      case "WordLevel" -> requireKnown("unk_token");
      case "Unigram" -> {
        if (settings.get("unk_id") != null) requireCount("unk_id", vocabulary.size());
        requireOptional("byte_fallback", Boolean.class);
        if (vocabulary.containsKey("")) throw bad("vocab", "tokens with a text", "an empty one");
      }
      default ->
          throw new UnsupportedFormatException(
              file + ": model of type " + Json.quote(type) + " is not supported");
    }
  }

  /** The type; files of 2020 do not state it. */
  String type() {
    Object type = settings.get("type");
    if (type instanceof String name) return name;
    if (type != null || settings.containsKey("type")) throw bad("type", "a name", type);
    if (Boolean.TRUE.equals(isScored)) return "Unigram";
    if (hasMerges) return "BPE";
    return settings.containsKey("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
  }

  private void checkPairs() {
    if (!hasMerges) throw bad("model", "merges", "none");
    for (String flag : new String[] {"fuse_unk", "byte_fallback", "ignore_merges"})
      requireOptional(flag, Boolean.class);
    for (String text : new String[] {"continuing_subword_prefix", "end_of_word_suffix"})
      requireOptional(text, String.class);
    if (settings.get("unk_token") != null) requireKnown("unk_token");
    Object dropout = settings.get("dropout");
    if (dropout != null && !(dropout instanceof Number number && number.doubleValue() == 0))
      throw bad("dropout", "null: with dropout a text has no fixed ids", dropout);
    String prefix = text("continuing_subword_prefix");
    for (String[] pair : merges) {
      String second = pair[1];
      if (!second.startsWith(prefix))
        throw bad("merges", "a second token that begins with " + prefix, second);
      for (String token :
          new String[] {pair[0], second, pair[0] + second.substring(prefix.length())}) {
        if (!vocabulary.containsKey(token))
          throw bad("merges", "tokens of the vocabulary", Json.quote(token));
      }
    }
  }

  private void requireOptional(String key, Class<?> type) {
    Object value = settings.get(key);
    if (value != null && !type.isInstance(value))
      throw bad(key, "a " + type.getSimpleName(), value);
  }

  private void requireText(String key) {
    if (!(settings.get(key) instanceof String)) throw bad(key, "a text", settings.get(key));
  }

  private void requireKnown(String key) {
    if (!(settings.get(key) instanceof String token && vocabulary.containsKey(token)))
      throw bad(key, "a token of the vocabulary", settings.get(key));
  }

  private void requireCount(String key, long limit) {
    if (!(settings.get(key) instanceof Long count && count >= 0 && count < limit))
      throw bad(key, "a number in [0, " + limit + ")", settings.get(key));
  }

  /** The tokens and their ids. */
  Map<String, Integer> vocabulary() {
    return vocabulary;
  }

  /** Whether an id has a token. */
  boolean has(int id) {
    return ids.get(id);
  }

  /** One more than the largest id. */
  int numIds() {
    return ids.length();
  }

  /** A setting that is a text; empty if it is absent. */
  String text(String key) {
    return settings.get(key) instanceof String text ? text : "";
  }

  boolean flag(String key) {
    return Boolean.TRUE.equals(settings.get(key));
  }

  private CheckpointException bad(String key, String expected, @Nullable Object found) {
    return new CheckpointException(file, key, expected, Json.quote(String.valueOf(found)));
  }
}
