package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;
import org.winnow.memory.Checkpoint;

/** Checkpoints of several files with an index. */
class SafetensorsShardsTest {
  @TempDir Path folder;

  @Test
  void joinsShards() throws IOException {
    writeShards();
    for (Path path : new Path[] {folder, folder.resolve(Safetensors.INDEX_FILE)}) {
      try (Checkpoint checkpoint = Safetensors.open(path)) {
        assertThat(checkpoint.names()).containsExactly("a", "b", "c");
        assertThat(checkpoint.require("c").file()).isEqualTo(folder.resolve("model-2.safetensors"));
      }
    }
  }

  private void writeShards() throws IOException {
    new SafetensorsFile()
        .add("a", "F32", 2)
        .add("b", "BF16", 3)
        .write(folder.resolve("model-1.safetensors"));
    new SafetensorsFile()
        .add("unnamed", "U8", 5)
        .add("c", "F16", 4)
        .write(folder.resolve("model-2.safetensors"));
    index(
        "{\"metadata\":{\"total_size\":22},\"weight_map\":{\"c\":\"model-2.safetensors\",\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\"}}");
  }

  private void index(String json) throws IOException {
    Files.writeString(folder.resolve(Safetensors.INDEX_FILE), json);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../other.safetensors",
        "/etc/other.safetensors",
        "sub/other.safetensors",
        "..\\\\other.safetensors",
        "",
        "model.bin",
        "a\\u0000.safetensors"
      })
  void refusesShardsElsewhere(String shard) throws IOException {
    index("{\"weight_map\":{\"a\":\"" + shard + "\"}}");
    assertThatThrownBy(() -> Safetensors.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("a: expected the name of a safetensors file beside the index, found");
  }

  /** The fuzzer found that messages repeated a long name in full. */
  @Test
  void refusesShardNamesOfAbsurdLength() throws IOException {
    index("{\"weight_map\":{\"a\":\"" + "x".repeat(5000) + ".safetensors\"}}");
    assertThatThrownBy(() -> Safetensors.open(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(
            "a: expected the name of a safetensors file beside the index, found xxx")
        .message()
        .hasSizeLessThan(500);
  }

  @Test
  void namesWhatAnIndexPromisesAndNoFileHolds() throws IOException {
    writeShards();
    index("{\"weight_map\":{\"a\":\"model-2.safetensors\"}}");
    refused(
        folder,
        "model-2.safetensors: a: expected this tensor, as model.safetensors.index.json says, found none");
    index("{\"weight_map\":{\"a\":\"model-3.safetensors\"}}");
    refused(
        folder,
        "model-3.safetensors: expected a file, as model.safetensors.index.json says, found nothing");
  }

  /** Headers are read by several threads. What is wrong with the first file is said. */
  @RepeatedTest(5)
  void namesTheFirstOfSeveralWrongFiles() throws IOException {
    StringBuilder map = new StringBuilder();
    for (int shard = 10; shard < 30; shard++) {
      String name = "model-" + shard + ".safetensors";
      map.append(shard == 10 ? "" : ",").append("\"t" + shard + "\":\"" + name + "\"");
      if (shard < 17) new SafetensorsFile().add("t" + shard, "I8", 7).write(folder.resolve(name));
      else Files.write(folder.resolve(name), new byte[shard % 5]);
    }
    index("{\"weight_map\":{" + map + "}}");
    refused(
        folder,
        "model-17.safetensors: expected a header length of 8 bytes, found a file of 2 bytes");
  }

  @Test
  void namesFilesThatAnIndexMisses() throws IOException {
    writeShards();
    index(
        "{\"weight_map\":{\"a\":\"Model_1.safetensors\",\"b\":\"model-1.safetensors\",\"c\":\"model-3.safetensors\"}}");
    refused(
        folder,
        "Model_1.safetensors: expected a file, as model.safetensors.index.json says, found nothing there;"
            + " of 3 files 2 are missing; the folder has model-1.safetensors");
  }

  /** The index says which of two tensors of one name is meant. */
  @Test
  void takesATensorFromTheFileThatTheIndexNames() throws IOException {
    writeShards();
    new SafetensorsFile().add("a", "F8_E4M3", 7).write(folder.resolve("model-2.safetensors"));
    for (String shard : new String[] {"model-1.safetensors", "model-2.safetensors"}) {
      index("{\"weight_map\":{\"a\":\"" + shard + "\",\"b\":\"model-1.safetensors\"}}");
      try (Checkpoint checkpoint = Safetensors.open(folder)) {
        assertThat(checkpoint.require("a").file()).isEqualTo(folder.resolve(shard));
      }
    }
  }

  @Test
  void refusesBrokenIndexes() throws IOException {
    String[][] cases = {
      {"[]", "expected an object, found ["},
      {"{}", "weight_map: expected an object, found nothing"},
      {"{\"weight_map\":[]}", "weight_map: expected an object, found ["},
      {"{\"weight_map\":{\"a\":1}}", "a: expected the name of a file, found 1"},
      {
        "{\"weight_map\":{},\"weight_map\":{}}",
        "weight_map: expected one entry of this name, found a second one"
      },
      {
        "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"a\":\"model-2.safetensors\"}}",
        "a: expected one entry of this name, found a second one"
      },
      {
        "{\"weight_map\":{\"a\":\"model-1.safetensors\"}",
        "expected JSON, found Unexpected end-of-input"
      },
      {"{\"weight_map\":{}} x", "expected JSON, found Unrecognized token 'x'"},
      {"{\"weight_map\":{}} {}", "expected nothing after the closing brace, found {"},
      {"", "expected an object, found the end"},
    };
    writeShards();
    for (String[] broken : cases) {
      index(broken[0]);
      refused(folder, broken[1]);
    }
  }

  private static void refused(Path path, String message) {
    assertThatThrownBy(() -> Safetensors.open(path))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(message);
  }
}
