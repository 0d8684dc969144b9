package org.winnow.models;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.memory.TensorInfo;

/**
 * The header of one safetensors file: 8 bytes of length (little-endian), that many bytes of JSON,
 * then the tensors' bytes.
 *
 * <pre>{@code
 * {"__metadata__": {"format": "pt"}, "name": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]}, ...}
 * }</pre>
 *
 * All rules that the reference implementation checks are checked here. The header has at most
 * 100,000,000 bytes and begins with a brace. Element types are known. Each range agrees with type
 * and shape. The ranges lie in the file and cover its data without holes and overlaps. Duplicate
 * names are errors too. The numbers of tensors and dimensions are limited, which limits the heap
 * that a malicious header can use. Source: the format's README
 * (github.com/huggingface/safetensors).
 */
final class SafetensorsHeader {
  static final long MAX_HEADER_BYTES = 100_000_000;

  /**
   * Five times the number in the largest models known. Each takes about 300 bytes of heap, and a
   * header of maximal size could hold two million.
   */
  static final int MAX_TENSORS = 500_000;

  private static final int LENGTH_BYTES = 8;
  private static final int MAX_RANK = 16; // far more than any model uses

  private final Path file;
  private final long dataOffset;
  private final long dataBytes;
  private final List<TensorInfo> tensors = new ArrayList<>();
  private final Set<String> names = new HashSet<>();
  private final @Nullable Map<String, String> metadata; // null: skipped, models need none

  private SafetensorsHeader(
      Path file, long dataOffset, long dataBytes, @Nullable Map<String, String> metadata) {
    this.file = file;
    this.dataOffset = dataOffset;
    this.dataBytes = dataBytes;
    this.metadata = metadata;
  }

  /**
   * Reads the header of a file, without its data.
   *
   * @return its tensors, ordered by offset
   * @throws CheckpointException naming the tensor if the error belongs to one, what was expected
   *     and what was found
   */
  static List<TensorInfo> read(Path file) {
    return read(file, null);
  }

  /**
   * Reads the strings of {@code __metadata__}; none if the file has no such entry.
   *
   * @throws CheckpointException as {@link #read(Path)}, and for a key that is there twice
   */
  static Map<String, String> readMetadata(Path file) {
    Map<String, String> metadata = new LinkedHashMap<>();
    read(file, metadata);
    return metadata;
  }

  private static List<TensorInfo> read(Path file, @Nullable Map<String, String> metadata) {
    long fileBytes = CheckpointFile.size(file);
    if (fileBytes < LENGTH_BYTES)
      throw new CheckpointException(
          file, null, "a header length of 8 bytes", "a file of " + fileBytes + " bytes");
    try (InputStream stream = Files.newInputStream(file)) {
      byte[] prefix = stream.readNBytes(LENGTH_BYTES);
      if (prefix.length < LENGTH_BYTES)
        throw new CheckpointException(
            file, null, "a header length of 8 bytes", prefix.length + " bytes");
      long headerBytes = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getLong();
      long limit = Math.min(MAX_HEADER_BYTES, fileBytes - LENGTH_BYTES);
      if (Long.compareUnsigned(headerBytes, limit) > 0) {
        String expected =
            "a header of at most "
                + limit
                + " bytes"
                + (limit < MAX_HEADER_BYTES ? " (the rest of the file)" : "");
        String format = ForeignFormat.ofContent(file);
        throw new CheckpointException(
            file,
            null,
            expected,
            format == null ? Long.toUnsignedString(headerBytes) + " bytes" : format);
      }
      SafetensorsHeader header =
          new SafetensorsHeader(
              file, LENGTH_BYTES + headerBytes, fileBytes - LENGTH_BYTES - headerBytes, metadata);
      return Json.parse(file, stream, headerBytes, header::tensors);
    } catch (IOException e) {
      throw Json.unreadable(file, e);
    }
  }

  private List<TensorInfo> tensors(JsonParser parser) throws IOException {
    if (parser.nextToken() != JsonToken.START_OBJECT)
      throw Json.unexpected(file, null, "a header that is a JSON object", parser);
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      if (!names.add(name)) throw Json.duplicate(file, name);
      if (names.size() > MAX_TENSORS)
        throw new CheckpointException(file, null, "at most " + MAX_TENSORS + " tensors", "more");
      if (parser.nextToken() != JsonToken.START_OBJECT)
        throw Json.unexpected(file, Json.quote(name), "an object", parser);
      if (name.equals("__metadata__")) {
        metadata(parser);
      } else {
        tensors.add(tensor(name, parser));
      }
    }
    requireCovered();
    return tensors;
  }

  private void metadata(JsonParser parser) throws IOException {
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      if (parser.nextToken() != JsonToken.VALUE_STRING)
        throw Json.unexpected(file, "__metadata__", "strings", parser);
      if (metadata != null && metadata.put(key, parser.getText()) != null)
        throw Json.duplicate(file, key);
    }
  }

  private TensorInfo tensor(String name, JsonParser parser) throws IOException {
    String typeName = null;
    long[] shape = null;
    long[] range = null;
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String key = parser.currentName();
      parser.nextToken();
      switch (key) {
        case "dtype" -> {
          if (typeName != null) throw fault(name, "one dtype", "a second one");
          if (parser.currentToken() != JsonToken.VALUE_STRING)
            throw Json.unexpected(file, Json.quote(name), "dtype as a string", parser);
          typeName = parser.getText();
        }
        case "shape" -> {
          if (shape != null) throw fault(name, "one shape", "a second one");
          shape = integers(name, key, parser);
        }
        case "data_offsets" -> {
          if (range != null) throw fault(name, "one data_offsets", "a second one");
          range = integers(name, key, parser);
        }
        default -> parser.skipChildren(); // the reference ignores keys it does not know
      }
    }
    if (typeName == null || shape == null || range == null) {
      throw fault(
          name,
          "dtype, shape and data_offsets",
          "no " + (typeName == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
    }
    return check(name, typeName, shape, range);
  }

  private TensorInfo check(String name, String typeName, long[] shape, long[] range) {
    StoredType type = StoredType.find(typeName);
    if (type == null) throw fault(name, "a dtype of the safetensors format", Json.quote(typeName));
    if (range.length != 2 || range[0] > range[1])
      throw fault(name, "data_offsets [begin, end]", Json.quote(Arrays.toString(range)));
    if (range[1] > dataBytes)
      throw fault(
          name,
          "data_offsets within the file's " + dataBytes + " bytes of data",
          Arrays.toString(range));
    long sizeBytes;
    try {
      sizeBytes = type.sizeBytes(shape);
    } catch (ArithmeticException e) {
      throw fault(
          name,
          "a shape whose bytes can be counted",
          type + " " + Json.quote(Arrays.toString(shape)));
    }
    if (sizeBytes != range[1] - range[0]) {
      throw fault(
          name,
          sizeBytes + " bytes for " + type + " " + Json.quote(Arrays.toString(shape)),
          range[1] - range[0] + " bytes");
    }
    return new TensorInfo(
        name, typeName, type.dtype(), shape, file, dataOffset + range[0], sizeBytes);
  }

  private long[] integers(String name, String key, JsonParser parser) throws IOException {
    if (parser.currentToken() != JsonToken.START_ARRAY)
      throw Json.unexpected(file, Json.quote(name), key + " as an array", parser);
    long[] values = new long[4];
    int count = 0;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      boolean integer =
          parser.currentToken() == JsonToken.VALUE_NUMBER_INT
              && parser.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
      if (!integer || parser.getLongValue() < 0)
        throw Json.unexpected(
            file, Json.quote(name), key + " of integers from 0 to 2^63 - 1", parser);
      if (count == MAX_RANK)
        throw fault(name, key + " of at most " + MAX_RANK + " integers", "more");
      if (count == values.length) values = Arrays.copyOf(values, 2 * count);
      values[count++] = parser.getLongValue();
    }
    return Arrays.copyOf(values, count);
  }

  /**
   * Sorts the tensors by offset and checks that they cover the data. Each range must begin where
   * the previous one ends. The last range must end at the end of the file.
   */
  private void requireCovered() {
    tensors.sort(
        Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::sizeBytes));
    long end = dataOffset;
    for (TensorInfo tensor : tensors) {
      if (tensor.offset() != end) {
        String found =
            tensor.offset() - dataOffset + (tensor.offset() < end ? " (an overlap)" : " (a hole)");
        throw fault(
            tensor.name(),
            "data_offsets from " + (end - dataOffset) + ", where the tensor before ends",
            found);
      }
      end = tensor.offset() + tensor.sizeBytes();
    }
    if (end != dataOffset + dataBytes) {
      throw new CheckpointException(
          file,
          null,
          end - dataOffset + " bytes of data, as the header says",
          dataBytes + " bytes");
    }
  }

  private CheckpointException fault(String name, String expected, String found) {
    return new CheckpointException(file, Json.quote(name), expected, found);
  }
}
