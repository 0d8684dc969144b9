package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.winnow.CheckpointException;
import org.winnow.ContextLengthException;
import org.winnow.InvalidLogitsException;
import org.winnow.UnsupportedFormatException;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * Kinds of broken checkpoints. Each writes the files of a case, opens them and requires that what
 * opened is consistent.
 */
final class FuzzTargets {
  /** Cases of a kind in a hundred; every other kind has {@link #USUAL_SHARE}. */
  private static final Map<String, Integer> SHARES =
      Map.of("config", 30, "header", 20, "plan", 10, "index", 10, "model", 1, "weights", 2);

  private static final int USUAL_SHARE = 9;

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

  /** A kind of case. */
  @FunctionalInterface
  interface Target {
    void run(Random random, JsonMutator mutator) throws IOException;
  }

  private final Path folder;
  private final List<byte[]> configs = new ArrayList<>();

  private FuzzTargets(Path folder) throws IOException {
    this.folder = folder;
    for (String family : FAMILIES)
      configs.add(Files.readAllBytes(Goldens.folder(family).resolve("config.json")));
    for (String name : PUBLISHED) configs.add(Files.readAllBytes(Goldens.configuration(name)));
  }

  /** All kinds by name. Each works in a folder of its own below this one. */
  static Map<String, Target> all(Path folder) throws IOException {
    Map<String, Target> targets = new LinkedHashMap<>();
    targets.put("config", kind(folder, "config").config());
    targets.put("header", kind(folder, "header").header());
    targets.put("plan", kind(folder, "plan").plan());
    targets.put("index", kind(folder, "index").index());
    targets.put("report", kind(folder, "report").report());
    targets.put("generation", kind(folder, "generation").generation());
    targets.put("tokenizer", kind(folder, "tokenizer").tokenizer());
    targets.put("model", kind(folder, "model").model());
    targets.put("weights", kind(folder, "weights").weights());
    return targets;
  }

  private static FuzzTargets kind(Path folder, String name) throws IOException {
    return new FuzzTargets(Files.createDirectories(folder.resolve(name)));
  }

  /** The kinds in turn, each as often as its share says. */
  static List<String> schedule(Collection<String> kinds) {
    List<String> schedule = new ArrayList<>();
    int most = SHARES.values().stream().mapToInt(share -> share).max().orElse(1);
    for (int round = 0; round < most; round++) {
      for (String kind : kinds) {
        int share = SHARES.getOrDefault(kind, USUAL_SHARE);
        if ((round + 1) * share / most > round * share / most) schedule.add(kind);
      }
    }
    return schedule;
  }

  private Target config() {
    return (random, mutator) -> {
      Files.write(folder.resolve("config.json"), mutatedConfig(random, mutator));
      requireSound(ModelConfig.read(folder));
    };
  }

  private byte[] mutatedConfig(Random random, JsonMutator mutator) {
    byte[] other = configs.get(random.nextInt(configs.size()));
    return mutator.mixing(other).mutate(configs.get(random.nextInt(configs.size())));
  }

  private Target header() {
    return (random, mutator) -> {
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
          SafetensorsFile.write(
              folder.resolve("model.safetensors"), headerBytes, header, dataBytes);
      try (Checkpoint checkpoint = Safetensors.open(path)) {
        requireSound(checkpoint);
        requireSound(ModelReport.of(path));
      }
    };
  }

  private Target index() throws IOException {
    new SafetensorsFile()
        .add("a", "F32", 4, 8)
        .add("b", "BF16", 3)
        .write(folder.resolve("model-1.safetensors"));
    new SafetensorsFile()
        .add("c", "F8_E4M3", 16)
        .add("d", "F32")
        .write(folder.resolve("model-2.safetensors"));
    byte[] whole =
        ("{\"metadata\":{\"total_size\":154},\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\","
                + "\"c\":\"model-2.safetensors\",\"d\":\"model-2.safetensors\"}}")
            .getBytes(StandardCharsets.UTF_8);
    return (random, mutator) -> {
      Files.write(folder.resolve(Safetensors.INDEX_FILE), mutator.mutate(whole));
      try (Checkpoint checkpoint = Safetensors.open(folder)) {
        requireSound(checkpoint);
      }
    };
  }

  /** A configuration or a header of a whole model, as far as opening goes without its data. */
  private Target plan() {
    return (random, mutator) -> {
      try (CpuBackend cpu = new CpuBackend(InstructionSet.best(), 1);
          DecoderPlan plan = DecoderPlan.of(golden(random, mutator), cpu)) {
        assertThat(plan.spec().layers()).hasSize(plan.config().numLayers());
        requireSound(plan.config());
        requireSound(plan.checkpoint());
      }
    };
  }

  private Target report() {
    return (random, mutator) -> {
      byte[] config = mutatedConfig(random, mutator);
      Path golden = Goldens.folder(FAMILIES.get(random.nextInt(FAMILIES.size())));
      ModelReport report = ModelReport.of(withConfig(golden, config));
      requireSound(report);
      if (!report.obstacles().isEmpty()) // a report is made; opening refuses
      throw new UnsupportedFormatException(String.join("; ", report.obstacles()));
    };
  }

  private Target generation() throws IOException {
    Files.copy(Goldens.folder("llama").resolve("config.json"), folder.resolve("config.json"));
    byte[] whole =
        ("{\"bos_token_id\": 1, \"eos_token_id\": [2, 3], \"do_sample\": true, \"temperature\": 0.8, \"top_k\": 20,"
                + "\"top_p\": 0.9, \"min_p\": 0.05, \"repetition_penalty\": 1.1, \"max_new_tokens\": 64,"
                + "\"stop_strings\": [\"x\"], \"num_beams\": 1}")
            .getBytes(StandardCharsets.UTF_8);
    byte[] published = Files.readAllBytes(Goldens.kjvMoe().resolve(GenerationDefaults.FILE));
    return (random, mutator) -> {
      Files.write(
          folder.resolve(GenerationDefaults.FILE),
          mutator.mixing(published).mutate(random.nextInt(10) == 0 ? published : whole));
      requireSound(ModelConfig.read(folder));
      GenerationDefaults defaults = GenerationDefaults.read(folder);
      assertThat(defaults.options(1).maxTokens()).isNotNegative();
    };
  }

  /**
   * The checks that come before the tokenizers' library. What passes them is not given to it here.
   */
  private Target tokenizer() throws IOException {
    List<byte[]> files = new ArrayList<>();
    for (SmallTokenizers small : SmallTokenizers.values())
      files.add(small.json.getBytes(StandardCharsets.UTF_8));
    byte[] large = Files.readAllBytes(Goldens.kjvMoe().resolve("tokenizer.json"));
    byte[] settings = Files.readAllBytes(Goldens.kjvMoe().resolve("tokenizer_config.json"));
    Path file = folder.resolve("tokenizer.json");
    return (random, mutator) -> {
      byte[] whole = random.nextInt(50) == 0 ? large : files.get(random.nextInt(files.size()));
      mutator.mixing(random.nextInt(10) == 0 ? settings : files.get(random.nextInt(files.size())));
      Files.write(file, mutator.mutate(whole));
      TokenizerFile.read(file);
    };
  }

  private Target model() {
    return (random, mutator) -> {
      Path golden = Goldens.folder(FAMILIES.get(random.nextInt(FAMILIES.size())));
      byte[] config = Files.readAllBytes(golden.resolve("config.json"));
      run(withConfig(golden, mutator.mutate(config)));
    };
  }

  private Target weights() {
    return (random, mutator) ->
        run(withHeader(FAMILIES.get(random.nextInt(FAMILIES.size())), mutator));
  }

  private Path golden(Random random, JsonMutator mutator) throws IOException {
    String family = FAMILIES.get(random.nextInt(FAMILIES.size()));
    if (random.nextBoolean()) return withHeader(family, mutator);
    Path golden = Goldens.folder(family);
    return withConfig(golden, mutator.mutate(Files.readAllBytes(golden.resolve("config.json"))));
  }

  /**
   * Opens a whole model, exactly if its report names no obstacle. A model that opens must generate,
   * or fail with an exception that says why.
   */
  private static void run(Path checkpoint) {
    List<String> obstacles = ModelReport.of(checkpoint).obstacles();
    boolean opened = false;
    LoadOptions options = LoadOptions.defaults().withThreads(1);
    try (LanguageModel model = LanguageModel.open(checkpoint, options)) {
      opened = true;
      assertThat(obstacles).as("obstacles to what opens").isEmpty();
      GenerationResult result =
          model.generate(new int[] {1, 2, 3}, GenerateOptions.greedy(2), TokenListener.NONE);
      assertThat(result.ids()).isNotEmpty();
    } catch (ContextLengthException | InvalidLogitsException e) {
      throw new UnsupportedFormatException(e.getMessage());
    } catch (CheckpointException | UnsupportedFormatException e) {
      if (!opened)
        assertThat(obstacles).as("obstacles to what is refused: %s", e.getMessage()).isNotEmpty();
      throw e;
    }
  }

  private Path withHeader(String family, JsonMutator mutator) throws IOException {
    Path golden = Goldens.folder(family);
    Path copy = Files.createDirectories(folder.resolve("header"));
    Files.copy(
        golden.resolve("config.json"),
        copy.resolve("config.json"),
        StandardCopyOption.REPLACE_EXISTING);
    byte[] whole = Files.readAllBytes(golden.resolve("model.safetensors"));
    int headerBytes = (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong();
    byte[] header = mutator.mutate(Arrays.copyOfRange(whole, 8, 8 + headerBytes));
    int dataBytes = whole.length - 8 - headerBytes;
    ByteBuffer mutated =
        ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    mutated.putLong(header.length).put(header).put(whole, 8 + headerBytes, dataBytes);
    Files.write(copy.resolve("model.safetensors"), mutated.array());
    return copy;
  }

  private Path withConfig(Path golden, byte[] config) throws IOException {
    Path copy = folder.resolve(golden.getFileName());
    if (!Files.exists(copy)) {
      Files.createDirectory(copy);
      Files.copy(golden.resolve("model.safetensors"), copy.resolve("model.safetensors"));
    }
    Files.write(copy.resolve("config.json"), config);
    return copy;
  }

  private static void requireSound(ModelConfig config) {
    assertThat(config.attention().slidingWindows()).hasSize(config.numLayers());
    assertThat(config.attention().numHeads() % config.attention().numKvHeads()).isZero();
    if (config.experts() != null) {
      assertThat(config.experts().topK()).isBetween(1, config.experts().numExperts());
      assertThat(config.experts().sparseLayers()).hasSize(config.numLayers());
    }
    try {
      config.activation();
    } catch (UnsupportedFormatException e) {
      assertThat(e).hasMessageMatching("(?s).*(activation|swiglu_limit).*");
    }
  }

  private static void requireSound(ModelReport report) {
    assertThat(report.activeParameters().orElse(0)).isBetween(0L, report.parameters());
    assertThat(report.expertBytes()).isBetween(0L, report.sizeBytes());
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
          .isBetween(8L, CheckpointFile.size(tensor.file()) - tensor.sizeBytes());
      assertThat(tensor.sizeBytes())
          .isEqualTo(StoredType.valueOf(tensor.storedType()).sizeBytes(tensor.shape()));
      assertThat(checkpoint.find(tensor.name())).isSameAs(tensor);
    }
  }
}
