package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

class SafetensorsTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "mixtral, 97",
    "qwen2_moe, 154",
    "qwen3_moe, 175",
    "olmoe, 175",
    "deepseek_v3, 140",
    "deepseek_v32, 155",
    "gpt_oss, 55",
    "llama, 31"
  })
  void opensEveryGolden(String family, int numEntries) {
    try (Checkpoint checkpoint = Safetensors.open(Goldens.folder(family))) {
      assertThat(checkpoint.names()).hasSize(numEntries - 1); // one entry is the metadata
      assertThat(checkpoint.require("model.embed_tokens.weight").shape()).containsExactly(512, 64);
      assertThat(checkpoint.tensors()).allMatch(tensor -> tensor.dtype() == DType.F32);
    }
  }

  @Test
  void readsTheBytesThatTheHeaderNames() throws IOException {
    String header =
        "{\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},\"a\":{\"dtype\":\"BF16\",\"shape\":[2,1],\"data_offsets\":[0,4]}}   ";
    byte[] data = {
      (byte) 0x80, 0x3f, 0x00, (byte) 0xc0, 0, 0, 0x40, 0x40, 0, 0, 0x20, 0x41
    }; // 1, -2 in bf16; 3, 10 in f32
    Path file = SafetensorsFile.write(folder.resolve("a.safetensors"), header, 0);
    byte[] bytes = Arrays.copyOf(Files.readAllBytes(file), 8 + header.length() + data.length);
    System.arraycopy(data, 0, bytes, 8 + header.length(), data.length);
    Files.write(file, bytes);
    try (Checkpoint checkpoint = Safetensors.open(file);
        Tensor a = checkpoint.read("a");
        Tensor b = checkpoint.read("b")) {
      assertThat(checkpoint.names()).containsExactly("a", "b"); // ordered by offset
      assertThat(a.toFloatArray()).containsExactly(1, -2);
      assertThat(b.toFloatArray()).containsExactly(3, 10);
    }
  }

  @Test
  void keepsTypesThatNothingComputes() {
    Path file =
        new SafetensorsFile()
            .add("fp8", "F8_E4M3", 3)
            .add("scale", "F8_E8M0", 1)
            .add("fp4", "F4", 2, 3)
            .add("d", "F64", 1)
            .add("u", "U8", 2)
            .add("none", "I64", 4, 0)
            .add("scalar", "BF16")
            .write(folder.resolve("a.safetensors"));
    try (Checkpoint checkpoint = Safetensors.open(file)) {
      assertThat(checkpoint.require("fp8"))
          .extracting(TensorInfo::storedType, TensorInfo::dtype, TensorInfo::sizeBytes)
          .containsExactly("F8_E4M3", null, 3L);
      assertThat(checkpoint.require("fp4").sizeBytes()).isEqualTo(3);
      assertThat(checkpoint.require("none").sizeBytes()).isZero();
      assertThat(checkpoint.require("scalar"))
          .extracting(TensorInfo::dtype, TensorInfo::size)
          .containsExactly(DType.BF16, 1L);
    }
  }

  @Test
  void acceptsAFileWithoutTensors() {
    try (Checkpoint checkpoint =
        Safetensors.open(
            SafetensorsFile.write(
                folder.resolve("a.safetensors"), "{\"__metadata__\":{\"format\":\"pt\"}}", 0))) {
      assertThat(checkpoint.names()).isEmpty();
    }
  }

  @Test
  void refusesWhatIsNoCheckpoint() throws IOException {
    refused(
        folder,
        "expected model.safetensors or model.safetensors.index.json in this folder, found neither");
    refused(folder.resolve("absent.safetensors"), "expected a file, found nothing there");
    refused(Path.of("/dev/zero"), "expected a file, found something else");
    refused(
        Files.write(folder.resolve("a.safetensors"), new byte[7]),
        "expected a header length of 8 bytes, found a file of 7 bytes");
  }

  /** Millions of empty tensors in a header of 100 MB would take several hundred MB of heap. */
  @Test
  void refusesMoreTensorsThanAnyModelHas() throws IOException {
    StringBuilder header = new StringBuilder("{");
    StringBuilder map = new StringBuilder("{\"weight_map\":{");
    for (int i = 0; i <= SafetensorsHeader.MAX_TENSORS; i++) {
      String separator = i == 0 ? "\"" : ",\"";
      header
          .append(separator)
          .append(i)
          .append("\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}");
      map.append(separator).append(i).append("\":\"a.safetensors\"");
    }
    Path file = folder.resolve("a.safetensors");
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    refused(
        SafetensorsFile.write(file, json.length, json, 0),
        "expected at most 500000 tensors, found more");
    Files.writeString(folder.resolve(Safetensors.INDEX_FILE), map.append("}}"));
    refused(folder, "index.json: expected at most 500000 tensors, found more");
  }

  @Test
  void refusesHeadersOfTheWrongLength() {
    Path file = folder.resolve("a.safetensors");
    byte[] empty = "{}".getBytes(StandardCharsets.UTF_8);
    refused(
        SafetensorsFile.write(file, 3, empty, 0),
        "expected a header of at most 2 bytes (the rest of the file), found 3 bytes");
    refused(
        SafetensorsFile.write(file, -1, empty, 0),
        "expected a header of at most 2 bytes (the rest of the file), found 18446744073709551615 bytes");
    refused(
        SafetensorsFile.write(file, 100_000_001, empty, 200_000_000),
        "expected a header of at most 100000000 bytes, found 100000001 bytes");
    refused(
        SafetensorsFile.write(file, 1, empty, 0), "expected JSON, found Unexpected end-of-input");
    refused(
        SafetensorsFile.write(file, 0, empty, 0),
        "expected a header that is a JSON object, found the end");
  }

  @Test
  void refusesBrokenHeaders() {
    String[][] cases = {
      {"[]", "expected a header that is a JSON object, found ["},
      {"{\"a\":1}", "a: expected an object, found 1"},
      {"{\"__metadata__\":{\"format\":1}}", "__metadata__: expected strings, found 1"},
      {
        entry("a", "F32", "[1]", "[0,4]") + entry("a", "F32", "[1]", "[4,8]"),
        "a: expected one entry of this name, found a second one"
      },
      {
        entry("a", "F31", "[1]", "[0,4]"),
        "a: expected a dtype of the safetensors format, found F31"
      },
      {
        "{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}",
        "a: expected dtype as a string, found 32"
      },
      {
        "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}",
        "a: expected dtype, shape and data_offsets, found no dtype"
      },
      {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,4]}}",
        "a: expected one shape, found a second one"
      },
      {entry("a", "F32", "1", "[0,4]"), "a: expected shape as an array, found 1"},
      {
        entry("a", "F32", "[1.0]", "[0,4]"),
        "a: expected shape of integers from 0 to 2^63 - 1, found 1.0"
      },
      {
        entry("a", "F32", "[-1]", "[0,4]"),
        "a: expected shape of integers from 0 to 2^63 - 1, found -1"
      },
      {
        entry("a", "F32", "[9223372036854775808]", "[0,4]"),
        "a: expected shape of integers from 0 to 2^63 - 1, found 9223372036854775808"
      },
      {
        entry("a", "F32", "[4294967296,4294967296]", "[0,4]"),
        "a: expected a shape whose bytes can be counted, found F32 [4294967296, 4294967296]"
      },
      {
        entry("a", "F32", "[" + "1,".repeat(64) + "1]", "[0,4]"),
        "a: expected shape of at most 16 integers, found more"
      },
      {
        entry("a", "F32", "[\"\"]", "[0,4]"),
        "a: expected shape of integers from 0 to 2^63 - 1, found \"\""
      },
      {
        entry("a", "F4", "[3]", "[0,2]"),
        "a: expected a shape whose bytes can be counted, found F4 [3]"
      },
      {entry("a", "F32", "[2]", "[0,4]"), "a: expected 8 bytes for F32 [2], found 4 bytes"},
      {entry("a", "F32", "[1]", "[4,0]"), "a: expected data_offsets [begin, end], found [4, 0]"},
      {entry("a", "F32", "[1]", "[0]"), "a: expected data_offsets [begin, end], found [0]"},
      {
        entry("a", "F32", "[4]", "[0,16]"),
        "a: expected data_offsets within the file's 8 bytes of data, found [0, 16]"
      },
      {
        entry("a", "F32", "[1]", "[0,4]") + entry("b", "F32", "[1]", "[2,6]"),
        "b: expected data_offsets from 4, where the tensor before ends, found 2 (an overlap)"
      },
      {
        entry("a", "F32", "[1]", "[0,4]") + entry("b", "U8", "[2]", "[6,8]"),
        "b: expected data_offsets from 4, where the tensor before ends, found 6 (a hole)"
      },
      {
        entry("a", "F32", "[1]", "[0,4]"),
        "expected 4 bytes of data, as the header says, found 8 bytes"
      },
      {"{}", "expected 0 bytes of data, as the header says, found 8 bytes"},
      {"{\"a\":" + "[".repeat(100) + "]".repeat(100) + "}", "a: expected an object, found ["},
      {
        "{\"a\":{\"x\":" + "[".repeat(100) + "]".repeat(100) + "}}",
        "expected JSON, found Document nesting depth (33) exceeds the maximum allowed"
      },
    };
    for (String[] broken : cases) {
      refused(
          SafetensorsFile.write(folder.resolve("a.safetensors"), broken[0].replace("}{", ","), 8),
          broken[1]);
    }
  }

  @Test
  void refusesTextThatIsNotUtf8() {
    byte[] utf16 = "{}".getBytes(StandardCharsets.UTF_16LE);
    refused(
        SafetensorsFile.write(folder.resolve("a.safetensors"), utf16.length, utf16, 0),
        "expected JSON, found");
    byte[] latin = "{\"\u00e4\":1}".getBytes(StandardCharsets.ISO_8859_1);
    refused(
        SafetensorsFile.write(folder.resolve("a.safetensors"), latin.length, latin, 0),
        "expected text in UTF-8, found other bytes");
  }

  private static String entry(String name, String type, String shape, String offsets) {
    return "{\""
        + name
        + "\":{\"dtype\":\""
        + type
        + "\",\"shape\":"
        + shape
        + ",\"data_offsets\":"
        + offsets
        + "}}";
  }

  private static void refused(Path path, String message) {
    assertThatThrownBy(() -> Safetensors.open(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(message);
  }
}
