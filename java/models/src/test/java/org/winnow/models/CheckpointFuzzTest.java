package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.CheckpointException;
import org.winnow.ContextLengthException;
import org.winnow.InvalidLogitsException;
import org.winnow.UnsupportedFormatException;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * 20,000 broken checkpoints, the same in every run. Each one either opens and is then consistent,
 * or fails with the expected exception. No case hangs, and none allocates memory out of proportion
 * to its file.
 */
class CheckpointFuzzTest {
  // limit for one case; its files have a few kilobytes
  private static final long MAX_ALLOCATED_BYTES = 32L << 20;
  private static final List<String> FAMILIES =
      List.of(
          "mixtral",
          "qwen2_moe",
          "qwen3_moe",
          "olmoe",
          "deepseek_v3",
          "deepseek_v32",
          "gpt_oss",
          "llama");
  private static final List<String> PUBLISHED =
      List.of(
          "mixtral_8x7b",
          "qwen15_moe_a27b",
          "qwen3_30b_a3b",
          "olmoe_1b_7b",
          "deepseek_v2_lite",
          "deepseek_v3",
          "gpt_oss_20b",
          "llama_31_8b",
          "llama_1");

  @TempDir Path folder;

  private interface Target {
    /** Writes a case and opens it. */
    void run(Random random, JsonMutator mutator) throws IOException;
  }

  @ParameterizedTest
  @CsvSource({
    "header, 7000",
    "index, 4000",
    "config, 5000",
    "report, 1500",
    "model, 300",
    "weights, 700",
    "generation, 1000",
    "tokenizer, 500"
  })
  @Timeout(value = 5, unit = TimeUnit.MINUTES)
  void opensOrRefuses(String kind, int numCases) throws IOException {
    Target target = target(kind);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    int opened = 0;
    int refused = 0;
    for (int seed = 0; seed < numCases; seed++) {
      long before = threads.getCurrentThreadAllocatedBytes();
      try {
        target.run(new Random(seed), new JsonMutator(seed));
        opened++;
      } catch (CheckpointException e) {
        assertThat(e.getMessage())
            .as("%s, seed %d", kind, seed)
            .contains("expected ")
            .contains(", found ")
            .hasSizeLessThan(1000);
        refused++;
      } catch (RuntimeException | Error e) {
        throw new AssertionError(kind + ", seed " + seed + ": " + e, e);
      }
      assertThat(threads.getCurrentThreadAllocatedBytes() - before)
          .as("bytes allocated by %s, seed %d", kind, seed)
          .isLessThan(MAX_ALLOCATED_BYTES);
    }
    assertThat(opened)
        .as("cases that opened")
        .isPositive(); // otherwise the changes are too coarse to get past the parser
    assertThat(refused).as("cases refused").isGreaterThan(numCases / 10);
  }

  private Target target(String kind) throws IOException {
    return switch (kind) {
      case "header" -> this::header;
      case "index" -> {
        new SafetensorsFile()
            .add("a", "F32", 4, 8)
            .add("b", "BF16", 3)
            .write(folder.resolve("model-1.safetensors"));
        new SafetensorsFile()
            .add("c", "F8_E4M3", 16)
            .add("d", "F32")
            .write(folder.resolve("model-2.safetensors"));
        yield this::index;
      }
      case "config" ->
          (random, mutator) -> {
            byte[] config = config(random);
            Files.write(folder.resolve("config.json"), mutator.mutate(config));
            readConfig();
          };
      case "report" ->
          (random, mutator) -> {
            ModelReport report = ModelReport.of(goldenWithMutatedConfig(random, mutator));
            assertThat(report.activeParameters().orElse(0)).isBetween(0L, report.parameters());
            assertThat(report.expertBytes()).isBetween(0L, report.sizeBytes());
          };
      case "model" -> (random, mutator) -> run(goldenWithMutatedConfig(random, mutator));
      case "weights" -> (random, mutator) -> run(goldenWithMutatedHeader(random, mutator));
      case "generation" -> {
        Files.copy(Goldens.folder("llama").resolve("config.json"), folder.resolve("config.json"));
        byte[] whole =
            "{\"bos_token_id\": 1, \"eos_token_id\": [2, 3], \"do_sample\": true, \"temperature\": 0.8}"
                .getBytes(StandardCharsets.UTF_8);
        yield (random, mutator) -> {
          Files.write(folder.resolve("generation_config.json"), mutator.mutate(whole));
          readConfig();
        };
      }
      default -> {
        byte[] whole = smallTokenizer();
        yield (random, mutator) -> {
          Files.write(folder.resolve("tokenizer.json"), mutator.mutate(whole));
          try (Tokenizer tokenizer = Tokenizer.open(folder)) {
            tokenizer.decode(tokenizer.encode("In the beginning", true), true);
          }
        };
      }
    };
  }

  private void header(Random random, JsonMutator mutator) {
    SafetensorsFile file =
        new SafetensorsFile()
            .add("a", "F32", 4, 8)
            .add("b", "BF16", 3)
            .add("model.layers.0.mlp.experts.0.up_proj.weight", "F16", 2, 2)
            .add("model.layers.0.mlp.experts.1.up_proj.weight", "F16", 2, 2)
            .add("q", "F4", 2, 16)
            .add("e", "I64", 0, 7)
            .add("f", "U8", 1);
    byte[] header = mutator.mutate(file.json().getBytes(StandardCharsets.UTF_8));
    long headerBytes =
        random.nextInt(10) > 0
            ? header.length
            : random.nextBoolean() ? random.nextInt(2 * header.length + 1) : random.nextLong();
    long dataBytes = random.nextInt(10) > 0 ? file.dataBytes() : random.nextInt(400);
    Path path =
        SafetensorsFile.write(folder.resolve("model.safetensors"), headerBytes, header, dataBytes);
    try (Checkpoint checkpoint = Safetensors.open(path)) {
      requireSound(checkpoint);
      ModelReport.of(path);
    }
  }

  private void index(Random random, JsonMutator mutator) throws IOException {
    byte[] whole =
        ("{\"metadata\":{\"total_size\":154},\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\","
                + "\"c\":\"model-2.safetensors\",\"d\":\"model-2.safetensors\"}}")
            .getBytes(StandardCharsets.UTF_8);
    Files.write(folder.resolve(Safetensors.INDEX_FILE), mutator.mutate(whole));
    try (Checkpoint checkpoint = Safetensors.open(folder)) {
      requireSound(checkpoint);
    }
  }

  /**
   * Opens a whole model. A model that opens must generate, or fail with an exception that says why.
   */
  private static void run(Path checkpoint) {
    try (LanguageModel model =
        LanguageModel.open(checkpoint, LoadOptions.defaults().withThreads(1))) {
      assertThat(
              model
                  .generate(new int[] {1, 2, 3}, GenerateOptions.greedy(2), TokenListener.NONE)
                  .ids())
          .isNotEmpty();
    } catch (UnsupportedFormatException | ContextLengthException | InvalidLogitsException e) {
      throw new CheckpointException(checkpoint, null, "a model that runs", e.getMessage());
    }
  }

  private Path goldenWithMutatedHeader(Random random, JsonMutator mutator) throws IOException {
    Path golden = Goldens.folder(FAMILIES.get(random.nextInt(FAMILIES.size())));
    Files.copy(
        golden.resolve("config.json"),
        folder.resolve("config.json"),
        StandardCopyOption.REPLACE_EXISTING);
    byte[] whole = Files.readAllBytes(golden.resolve("model.safetensors"));
    int headerBytes = (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong();
    byte[] header = mutator.mutate(Arrays.copyOfRange(whole, 8, 8 + headerBytes));
    ByteBuffer mutated =
        ByteBuffer.allocate(whole.length - headerBytes + header.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    mutated
        .putLong(header.length)
        .put(header)
        .put(whole, 8 + headerBytes, whole.length - 8 - headerBytes);
    Files.write(folder.resolve("model.safetensors"), mutated.array());
    return folder;
  }

  private Path goldenWithMutatedConfig(Random random, JsonMutator mutator) throws IOException {
    Path golden = Goldens.folder(FAMILIES.get(random.nextInt(FAMILIES.size())));
    Path copy = folder.resolve(golden.getFileName().toString());
    if (!Files.exists(copy)) {
      Files.createDirectory(copy);
      Files.copy(golden.resolve("model.safetensors"), copy.resolve("model.safetensors"));
    }
    Files.write(
        copy.resolve("config.json"),
        mutator.mutate(Files.readAllBytes(golden.resolve("config.json"))));
    return copy;
  }

  private static byte[] config(Random random) throws IOException {
    int choice = random.nextInt(FAMILIES.size() + PUBLISHED.size());
    return Files.readAllBytes(
        choice < FAMILIES.size()
            ? Goldens.folder(FAMILIES.get(choice)).resolve("config.json")
            : Goldens.configuration(PUBLISHED.get(choice - FAMILIES.size())));
  }

  private void readConfig() {
    ModelConfig config = ModelConfig.read(folder);
    assertThat(config.attention().slidingWindows()).hasSize(config.numLayers());
    assertThat(config.attention().numHeads() % config.attention().numKvHeads()).isZero();
    if (config.experts() != null) {
      assertThat(config.experts().topK()).isBetween(1, config.experts().numExperts());
      assertThat(config.experts().sparseLayers()).hasSize(config.numLayers());
    }
    try {
      config.activation();
    } catch (UnsupportedFormatException e) {
      assertThat(e).hasMessageContaining("activation");
    }
  }

  /**
   * Requires of a checkpoint that opened: ranges lie inside their files and do not overlap, and
   * sizes agree with shape and type.
   */
  private static void requireSound(Checkpoint checkpoint) {
    TensorInfo last = null; // tensors are ordered by file, then by offset
    for (TensorInfo tensor : checkpoint.tensors()) {
      if (last != null && last.file().equals(tensor.file()))
        assertThat(tensor.offset()).isGreaterThanOrEqualTo(last.offset() + last.sizeBytes());
      last = tensor;
      assertThat(tensor.offset())
          .isBetween(8L, Json.regularFileSize(tensor.file()) - tensor.sizeBytes());
      assertThat(tensor.sizeBytes())
          .isEqualTo(StoredType.valueOf(tensor.storedType()).sizeBytes(tensor.shape()));
      assertThat(checkpoint.find(tensor.name())).isSameAs(tensor);
    }
  }

  /** Byte-level BPE as in the demonstration model, with a vocabulary of a few letters. */
  private static byte[] smallTokenizer() {
    String level =
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}";
    return ("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[{\"id\":0,\"content\":\"<|endoftext|>\",\"single_word\":false,\"lstrip\":false,"
            + "\"rstrip\":false,\"normalized\":false,\"special\":true}],\"normalizer\":null,\"pre_tokenizer\":"
            + level
            + ",\"post_processor\":null,\"decoder\":"
            + level
            + ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":false,"
            + "\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{\"<|endoftext|>\":0,\"I\":1,\"n\":2,\"\u0120\":3,\"t\":4,\"h\":5,\"e\":6,\"b\":7,\"g\":8,\"i\":9,"
            + "\"In\":10,\"th\":11,\"\u0120the\":12,\"the\":13},\"merges\":[\"I n\",\"t h\",\"th e\",\"\u0120 the\"]}}")
        .getBytes(StandardCharsets.UTF_8);
  }
}
