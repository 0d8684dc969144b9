package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.BudgetException;
import org.winnow.CheckpointException;
import org.winnow.ExpertReadException;
import org.winnow.InvalidLogitsException;
import org.winnow.UnsupportedFormatException;
import org.winnow.WinnowException;

/** Whatever is wrong with a model is an exception that names it, and leaves no file open. */
class BadModelTest {
  private static final GenerateOptions GREEDY = GenerateOptions.greedy(16).withStopIds(Set.of());

  @TempDir Path folder;
  private long openFiles;

  @BeforeEach
  void countOpenFiles() throws IOException {
    LanguageModel.open(Goldens.folder("mixtral"), LoadOptions.defaults())
        .close(); // classes and natives are loaded
    openFiles = OpenFiles.count();
  }

  @AfterEach
  void noFileStaysOpen() throws IOException {
    assertEquals(openFiles, OpenFiles.count());
  }

  private Path copy(String family, Consumer<TensorFile> weights, UnaryOperator<String> config) {
    try {
      TensorFile tensors = TensorFile.read(Goldens.folder(family).resolve("model.safetensors"));
      weights.accept(tensors);
      tensors.write(folder.resolve("model.safetensors"));
      Files.writeString(
          folder.resolve("config.json"),
          config.apply(Files.readString(Goldens.folder(family).resolve("config.json"))));
      return folder;
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private <T extends WinnowException> T refused(Class<T> type, Path model) {
    return assertThrows(type, () -> LanguageModel.open(model, LoadOptions.defaults()).close());
  }

  @ParameterizedTest
  @CsvSource({
    "mixtral, model.layers.1.block_sparse_moe.experts.5.w3.weight",
    "llama, model.norm.weight",
    "gpt_oss, model.layers.2.mlp.experts.down_proj_bias",
    "gpt_oss, model.layers.0.self_attn.sinks",
    "deepseek_v3, model.layers.1.mlp.gate.e_score_correction_bias",
    "deepseek_v3, model.layers.0.self_attn.kv_b_proj.weight",
    "qwen2_moe, model.layers.2.mlp.shared_expert_gate.weight",
    "llama, lm_head.weight"
  })
  void aMissingTensorIsNamed(String family, String name) {
    CheckpointException e =
        refused(
            CheckpointException.class,
            copy(
                family,
                tensors -> assertTrue(tensors.tensors.remove(name) != null),
                config -> config));
    assertEquals(name, e.tensor());
    assertEquals(folder.resolve("model.safetensors"), e.file());
  }

  @ParameterizedTest
  @CsvSource({
    "mixtral, model.layers.1.block_sparse_moe.experts.5.w3.weight, '[96, 64]'",
        "llama, model.layers.0.self_attn.q_proj.weight, '[64, 64]'",
    "olmoe, model.layers.0.self_attn.q_norm.weight, [64]",
        "gpt_oss, model.layers.1.mlp.experts.gate_up_proj, '[8, 64, 128]'"
  })
  void aWrongShapeIsNamedWithWhatItShouldBe(String family, String name, String expected) {
    CheckpointException e =
        refused(
            CheckpointException.class,
            copy(
                family,
                tensors ->
                    tensors.map(
                        name::equals,
                        tensor ->
                            new TensorFile.Stored(
                                tensor.type(),
                                new long[] {tensor.toFloats().length / 2, 2},
                                tensor.bytes())),
                config -> config));
    assertEquals(name, e.tensor());
    assertEquals("shape " + expected, e.expected());
    assertTrue(e.found().endsWith(", 2]"), e.found());
  }

  @Test
  void aTensorThatTheFamilyDoesNotKnowIsNotLeftOutInSilence() {
    CheckpointException e =
        refused(
            CheckpointException.class,
            copy(
                "mixtral",
                tensors ->
                    tensors.tensors.put(
                        "model.layers.0.self_attn.q_proj.bias",
                        tensors.tensors.get("model.norm.weight")),
                config -> config));
    assertEquals("model.layers.0.self_attn.q_proj.bias", e.tensor());
  }

  @Test
  void tensorsThatChangeNothingMayBeThere() {
    Path model =
        copy(
            "llama",
            tensors -> {
              TensorFile.Stored any = tensors.tensors.get("model.norm.weight");
              tensors.tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", any);
              tensors.tensors.put(
                  "model.layers.3.input_layernorm.weight", any); // behind the last layer
              tensors.tensors.put("lm_head.weight", any); // the embedding serves
            },
            config ->
                config.replace("\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true"));
    try (LanguageModel opened = LanguageModel.open(model, LoadOptions.defaults())) {
      assertEquals(16, opened.generate(new int[] {1}, GREEDY, TokenListener.NONE).ids().length);
    }
  }

  @Test
  void formatsThatAreNotComputedAreRefusedByName() {
    String message =
        assertThrows(
                UnsupportedFormatException.class,
                () ->
                    LanguageModel.open(Goldens.folder("deepseek_v32"), LoadOptions.defaults())
                        .close())
            .getMessage();
    assertTrue(message.contains("deepseek_v32"), message);
    message =
        refused(
                UnsupportedFormatException.class,
                copy(
                    "llama",
                    tensors -> {},
                    config ->
                        config.replace(
                            "\"vocab_size\"",
                            "\"quantization_config\": {\"quant_method\": \"mxfp4\"}, \"vocab_size\"")))
            .getMessage();
    assertTrue(message.contains("mxfp4"), message);
    message =
        refused(
                UnsupportedFormatException.class,
                copy(
                    "llama",
                    tensors -> {},
                    config ->
                        config.replace(
                            "\"rope_type\": \"default\"",
                            "\"rope_type\": \"dynamic\", \"factor\": 2.0")))
            .getMessage();
    assertTrue(message.contains("dynamic"), message);
    message =
        refused(
                UnsupportedFormatException.class,
                copy(
                    "llama",
                    tensors -> {},
                    config ->
                        config.replace("\"hidden_act\": \"silu\"", "\"hidden_act\": \"mish\"")))
            .getMessage();
    assertTrue(message.contains("mish"), message);
  }

  @ParameterizedTest
  @CsvSource({
    "mixtral, model.layers.0.block_sparse_moe.experts.7.w2.weight",
    "mixtral, model.layers.2.self_attn.o_proj.weight"
  })
  void weightsInEightBitsAreRefusedByTheirTypesName(String family, String name) {
    UnsupportedFormatException e =
        refused(
            UnsupportedFormatException.class,
            copy(
                family,
                tensors ->
                    tensors.map(
                        name::equals,
                        tensor ->
                            new TensorFile.Stored(
                                "F8_E4M3", tensor.shape(), new byte[tensor.bytes().length / 4])),
                config -> config));
    assertTrue(e.getMessage().contains("F8_E4M3") && e.getMessage().contains(name), e.getMessage());
  }

  @Test
  void aBudgetOfLessThanOneExpertIsRefused() {
    LoadOptions options = LoadOptions.defaults().withBudget(ExpertBudget.ofBytes(1000));
    BudgetException e =
        assertThrows(
            BudgetException.class,
            () -> LanguageModel.open(Goldens.folder("olmoe"), options).close());
    assertEquals(1000, e.foundBytes());
  }

  @Test
  void aFolderThatIsNotThereIsNamed() {
    CheckpointException e = refused(CheckpointException.class, folder.resolve("absent"));
    assertEquals(
        folder.resolve("absent") + ": expected the folder of a checkpoint, found nothing there",
        e.getMessage());
  }

  /** 470 GB, of which the default budget wants to hold all. */
  @Test
  void aBudgetBeyondTheMemoryOfTheMachineIsRefusedBeforeAnythingIsRead() throws IOException {
    PublishedCheckpoint.qwen3(folder, "qwen3_235b_a22b", 118);
    long memoryBytes =
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
    assumeTrue(memoryBytes < 470_000_000_000L);
    BudgetException e =
        assertThrows(
            BudgetException.class,
            () -> LanguageModel.open(folder, LoadOptions.defaults()).close());
    assertEquals(memoryBytes, e.foundBytes());
    // with the blocks of direct reads rounded outward
    assertEquals(470_187_269_120L, e.requiredBytes(), 0.01 * 470_187_269_120L);
  }

  @ParameterizedTest
  @CsvSource({
    "llama, lm_head.weight",
    "mixtral, model.layers.1.block_sparse_moe.gate.weight",
    "mixtral, model.layers.0.input_layernorm.weight"
  })
  void weightsThatAreNotNumbersAreFoundAtTheLatestInTheLogits(String family, String name) {
    Path model =
        copy(
            family,
            tensors ->
                tensors.map(
                    name::equals,
                    tensor -> {
                      byte[] bytes = tensor.bytes().clone();
                      ByteBuffer.wrap(bytes)
                          .order(ByteOrder.LITTLE_ENDIAN)
                          .putFloat(4 * 17, Float.NaN);
                      return new TensorFile.Stored(tensor.type(), tensor.shape(), bytes);
                    }),
            config -> config);
    try (LanguageModel opened = LanguageModel.open(model, LoadOptions.defaults())) {
      assertThrows(
          InvalidLogitsException.class,
          () -> opened.generate(new int[] {1, 2, 3}, GREEDY, TokenListener.NONE));
    }
  }

  @Test
  void aFileThatShrinksWhileTextIsMadeEndsItAndAfterwardsTheModelGoesOn() throws IOException {
    for (String name : new String[] {"config.json", "model.safetensors"})
      Files.copy(Goldens.kjvMoe().resolve(name), folder.resolve(name));
    Path weights = folder.resolve("model.safetensors");
    byte[] whole = Files.readAllBytes(weights);
    int[] prompt = {0, 5, 9};
    try (LanguageModel model =
        LanguageModel.open(folder, LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.1)))) {
      int[] expected = model.generate(prompt, GREEDY, TokenListener.NONE).ids();
      try (Session session = model.newSession()) {
        ExpertReadException e =
            assertThrows(
                ExpertReadException.class,
                () -> session.generate(prompt, GREEDY, (id, text) -> truncate(weights)));
        assertEquals(weights, e.file());
        assertTrue(e.getMessage().contains("expert"), e.getMessage());
        int made = session.numTokens() - prompt.length;
        assertTrue(made >= 1 && made < 16);
        Files.write(weights, whole, StandardOpenOption.WRITE); // the same file, longer again
        int[] rest =
            session
                .generate(
                    new int[0],
                    GenerateOptions.greedy(16 - made).withStopIds(Set.of()),
                    TokenListener.NONE)
                .ids();
        assertArrayEquals(java.util.Arrays.copyOfRange(expected, made, 16), rest);
      }
      assertArrayEquals(expected, model.generate(prompt, GREEDY, TokenListener.NONE).ids());
    }
  }

  private static void truncate(Path file) {
    try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
      access.setLength(access.length() / 8);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
