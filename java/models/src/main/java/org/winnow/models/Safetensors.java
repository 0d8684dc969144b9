package org.winnow.models;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * Opens checkpoints in the safetensors format: one file, or several with an index. Only headers are
 * read, so the time depends on the number of tensors, not on their size.
 *
 * <p>An index names the file of each tensor. A tensor that the index does not name is not part of
 * the checkpoint. All files must be beside the index; a name that leads elsewhere is an error.
 */
public final class Safetensors {
  static final String SINGLE_FILE = "model.safetensors";
  static final String INDEX_FILE = "model.safetensors.index.json";

  private static final int MAX_NAME = 255; // of a file, on every file system in use

  private Safetensors() {}

  /**
   * Opens a checkpoint.
   *
   * @param path a folder with {@code model.safetensors} or {@code model.safetensors.index.json},
   *     such an index, one safetensors file, or a name of a model as {@link LanguageModel#open}
   *     takes it
   * @throws CheckpointException naming the file, the tensor, what was expected and what was found;
   *     no file stays open
   */
  public static Checkpoint open(Path path) {
    return new Checkpoint(tensors(ModelFolder.resolve(path)));
  }

  /**
   * The strings of {@code __metadata__} in one safetensors file, in its order.
   *
   * @return none if the file has no such entry
   * @throws CheckpointException naming what is wrong with the header
   */
  public static Map<String, String> metadata(Path file) {
    return SafetensorsHeader.readMetadata(file);
  }

  /** Whether a folder has the weights of a whole model, or links to them. */
  static boolean isIn(Path folder) {
    return CheckpointFile.isThere(folder.resolve(SINGLE_FILE))
        || CheckpointFile.isThere(folder.resolve(INDEX_FILE));
  }

  /** The tensors of a checkpoint, ordered by file and then by offset. */
  static List<TensorInfo> tensors(Path path) {
    Path file = path;
    if (Files.isDirectory(path)) {
      if (!isIn(path)) throw FolderContents.noCheckpoint(path);
      file = path.resolve(SINGLE_FILE);
      if (!CheckpointFile.isThere(file)) file = path.resolve(INDEX_FILE);
    }
    return file.toString().endsWith(".index.json") ? sharded(file) : SafetensorsHeader.read(file);
  }

  private static List<TensorInfo> sharded(Path index) {
    Map<String, Map<String, Boolean>> expected =
        Json.parse(index, SafetensorsHeader.MAX_HEADER_BYTES, parser -> readIndex(index, parser));
    requireShards(index, expected.keySet());
    List<Path> files =
        expected.keySet().stream().map(index.toAbsolutePath()::resolveSibling).toList();
    Iterator<Header> headers = files.parallelStream().map(Header::of).toList().iterator();
    List<TensorInfo> tensors = new ArrayList<>();
    expected.forEach(
        (shard, names) -> {
          Header header = headers.next();
          Path file = header.file();
          for (TensorInfo tensor : header.tensors()) {
            if (names.replace(tensor.name(), true) != null) tensors.add(tensor);
          }
          names.forEach(
              (name, found) -> {
                if (!found)
                  throw new CheckpointException(
                      file,
                      Json.quote(name),
                      "this tensor, as " + index.getFileName() + " says",
                      "none");
              });
        });
    return tensors;
  }

  /**
   * What reading the header of a file gave: a value or a failure, which is thrown in the order of
   * files.
   */
  private record Header(Path file, List<TensorInfo> found, @Nullable RuntimeException failure) {
    static Header of(Path file) {
      try {
        return new Header(file, SafetensorsHeader.read(file), null);
      } catch (RuntimeException e) {
        return new Header(file, List.of(), e);
      }
    }

    List<TensorInfo> tensors() {
      if (failure != null) throw failure;
      return found;
    }
  }

  /** Checks that all files of an index are there, before one of them is read. */
  private static void requireShards(Path index, Set<String> shards) {
    List<String> missing = new ArrayList<>();
    for (String shard : shards) {
      if (!CheckpointFile.isThere(index.resolveSibling(shard))) missing.add(shard);
    }
    if (missing.isEmpty()) return;
    Path first = index.resolveSibling(missing.get(0));
    String similar = FolderContents.similarName(first);
    throw new CheckpointException(
        first,
        null,
        "a file, as " + index.getFileName() + " says",
        CheckpointFile.missing(first, "").found()
            + (missing.size() == 1
                ? ""
                : "; of " + shards.size() + " files " + missing.size() + " are missing")
            + (similar == null ? "" : "; the folder has " + similar));
  }

  /** Maps each file to the names of its tensors, and each name to false: not found yet. */
  private static Map<String, Map<String, Boolean>> readIndex(Path index, JsonParser parser)
      throws IOException {
    Map<String, Map<String, Boolean>> expected = new TreeMap<>();
    if (parser.nextToken() != JsonToken.START_OBJECT)
      throw Json.unexpected(index, null, "an object", parser);
    boolean mapped = false;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      if (!key.equals("weight_map")) {
        parser.skipChildren();
        continue;
      }
      if (mapped) throw Json.duplicate(index, key);
      mapped = true;
      if (parser.currentToken() != JsonToken.START_OBJECT)
        throw Json.unexpected(index, key, "an object", parser);
      readWeightMap(index, parser, expected);
    }
    if (!mapped) throw new CheckpointException(index, "weight_map", "an object", "nothing");
    return expected;
  }

  private static void readWeightMap(
      Path index, JsonParser parser, Map<String, Map<String, Boolean>> expected)
      throws IOException {
    Set<String> seen = new HashSet<>();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String tensor = parser.currentName();
      if (parser.nextToken() != JsonToken.VALUE_STRING)
        throw Json.unexpected(index, Json.quote(tensor), "the name of a file", parser);
      String shard = parser.getText();
      if (!expected.containsKey(shard)) requirePlainName(index, tensor, shard);
      if (!seen.add(tensor)) throw Json.duplicate(index, tensor);
      if (seen.size() > SafetensorsHeader.MAX_TENSORS)
        throw new CheckpointException(
            index, null, "at most " + SafetensorsHeader.MAX_TENSORS + " tensors", "more");
      expected.computeIfAbsent(shard, name -> new LinkedHashMap<>()).put(tensor, false);
    }
  }

  /** Checks that a shard is the plain name of a file beside the index, not a path. */
  private static void requirePlainName(Path index, String tensor, String shard) {
    boolean plain =
        shard.length() <= MAX_NAME
            && shard.endsWith(".safetensors")
            && shard.indexOf('/') < 0
            && shard.indexOf('\\') < 0;
    try {
      plain = plain && Path.of(shard).getNameCount() == 1;
    } catch (InvalidPathException e) {
      plain = false;
    }
    if (!plain)
      throw new CheckpointException(
          index,
          Json.quote(tensor),
          "the name of a safetensors file beside the index",
          Json.quote(shard));
  }
}
