package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;
import static org.assertj.core.api.Assertions.withinPercentage;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.util.Arrays;
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

/** Every fault of a model is an exception that names the fault. No file stays open. */
class BadModelTest {
  private static final GenerateOptions GREEDY = GenerateOptions.greedy(16).withStopIds(Set.of());

  @TempDir Path folder;
  private long openFiles;

  @BeforeEach
  void countOpenFiles() throws IOException {
    LanguageModel.open(Goldens.folder("mixtral"), LoadOptions.defaults())
        .close(); // loads classes and natives
    openFiles = OpenFiles.count();
  }

  @AfterEach
  void noFileStaysOpen() throws IOException {
    assertThat(OpenFiles.count()).isEqualTo(openFiles);
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
      throw new UncheckedIOException(e);
    }
  }

  private <T extends WinnowException> T refused(Class<T> type, Path model) {
    return refused(type, model, LoadOptions.defaults());
  }

  private <T extends WinnowException> T refused(Class<T> type, Path model, LoadOptions options) {
    Throwable thrown = catchThrowable(() -> LanguageModel.open(model, options).close());
    assertThat(thrown).isInstanceOf(type);
    return type.cast(thrown);
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
                tensors -> assertThat(tensors.tensors.remove(name)).isNotNull(),
                config -> config));
    assertThat(e.tensor()).isEqualTo(name);
    assertThat(e.file()).isEqualTo(folder.resolve("model.safetensors"));
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
    assertThat(e.tensor()).isEqualTo(name);
    assertThat(e.expected()).isEqualTo("shape " + expected);
    assertThat(e.found()).endsWith(", 2]");
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
    assertThat(e.tensor()).isEqualTo("model.layers.0.self_attn.q_proj.bias");
  }

  @Test
  void tensorsThatChangeNothingMayBeThere() {
    Path model =
        copy(
            "llama",
            tensors -> {
              TensorFile.Stored any = tensors.tensors.get("model.norm.weight");
              tensors.tensors.put("model.layers.0.self_attn.rotary_emb.inv_freq", any);
            },
            config -> config);
    try (LanguageModel opened = LanguageModel.open(model, LoadOptions.defaults())) {
      assertThat(opened.generate(new int[] {1}, GREEDY, TokenListener.NONE).ids()).hasSize(16);
    }
  }

  @Test
  void formatsThatAreNotSupportedAreRefusedByName() {
    Path unknownFamily = Goldens.folder("deepseek_v32");
    assertThat(refused(UnsupportedFormatException.class, unknownFamily))
        .hasMessageContaining("deepseek_v32");
    assertThat(
            refusedLlama(
                "\"rope_type\": \"default\"", "\"rope_type\": \"dynamic\", \"factor\": 2.0"))
        .hasMessageContaining("dynamic");
    assertThat(refusedLlama("\"hidden_act\": \"silu\"", "\"hidden_act\": \"mish\""))
        .hasMessageContaining("mish");
  }

  /** Opens llama with one change in its configuration. */
  private UnsupportedFormatException refusedLlama(String from, String to) {
    Path model = copy("llama", tensors -> {}, config -> config.replace(from, to));
    return refused(UnsupportedFormatException.class, model);
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
    assertThat(e).hasMessageContaining("F8_E4M3").hasMessageContaining(name);
  }

  @Test
  void aBudgetOfLessThanOneExpertIsRefused() {
    LoadOptions options = LoadOptions.defaults().withBudget(ExpertBudget.ofBytes(1000));
    BudgetException e = refused(BudgetException.class, Goldens.folder("olmoe"), options);
    assertThat(e.foundBytes()).isEqualTo(1000);
  }

  @Test
  void aFolderThatIsNotThereIsNamed() {
    CheckpointException e = refused(CheckpointException.class, folder.resolve("absent"));
    assertThat(e)
        .hasMessage(
            folder.resolve("absent")
                + ": expected the folder of a checkpoint, found nothing there");
  }

  /** 470 GB of experts, all of which the default budget would keep in memory. */
  @Test
  void aBudgetBeyondTheMachinesMemoryIsRefusedBeforeReading() throws IOException {
    PublishedCheckpoint.qwen3(folder, "qwen3_235b_a22b", 118);
    long memoryBytes =
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
    assumeTrue(memoryBytes < 470_000_000_000L);
    BudgetException e = refused(BudgetException.class, folder);
    assertThat(e.foundBytes()).isEqualTo(memoryBytes);
    // Slots extend to the block boundaries of direct reads, so the number is only close.
    assertThat(e.requiredBytes()).isCloseTo(470_187_269_120L, withinPercentage(1));
  }

  @ParameterizedTest
  @CsvSource({"llama, lm_head.weight", "mixtral, model.layers.1.self_attn.q_proj.weight"})
  void matricesThatAreNotNumbersAreFoundAtTheLatestInTheLogits(String family, String name) {
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
      assertThatThrownBy(() -> opened.generate(new int[] {1, 2, 3}, GREEDY, TokenListener.NONE))
          .isInstanceOf(InvalidLogitsException.class);
    }
  }

  @Test
  void aFileThatShrinksFailsTheStepAndLeavesTheModelUsable() throws IOException {
    for (String name : new String[] {"config.json", "model.safetensors"})
      Files.copy(Goldens.kjvMoe().resolve(name), folder.resolve(name));
    Path weights = folder.resolve("model.safetensors");
    byte[] whole = Files.readAllBytes(weights);
    FileTime modified = Files.getLastModifiedTime(weights);
    int[] prompt = {0, 5, 9};
    try (LanguageModel model =
        LanguageModel.open(folder, LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.1)))) {
      int[] expected = model.generate(prompt, GREEDY, TokenListener.NONE).ids();
      try (Session session = model.newSession()) {
        assertThatThrownBy(() -> session.generate(prompt, GREEDY, (id, text) -> truncate(weights)))
            .hasMessageContaining("expert")
            .isInstanceOfSatisfying(
                ExpertReadException.class, e -> assertThat(e.file()).isEqualTo(weights));
        int made = session.numTokens() - prompt.length;
        assertThat(made).isBetween(1, 15);
        Files.write(weights, whole, StandardOpenOption.WRITE); // the same file, longer again
        Files.setLastModifiedTime(weights, modified); // or it would count as another model's
        int[] rest =
            session
                .generate(
                    new int[0],
                    GenerateOptions.greedy(16 - made).withStopIds(Set.of()),
                    TokenListener.NONE)
                .ids();
        assertThat(rest).isEqualTo(Arrays.copyOfRange(expected, made, 16));
      }
      assertThat(model.generate(prompt, GREEDY, TokenListener.NONE).ids()).isEqualTo(expected);
    }
  }

  private static void truncate(Path file) {
    try (RandomAccessFile access = new RandomAccessFile(file.toFile(), "rw")) {
      access.setLength(access.length() / 8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
