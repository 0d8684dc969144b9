package org.winnow.models;

import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelReportTest {
  @TempDir Path folder;

  @Test
  void tellsWhatTheDemonstrationModelsReadmeTells() {
    ModelReport report = ModelReport.of(Goldens.kjvMoe());
    assertThat(report.isMixtureOfExperts()).isTrue();
    assertThat(report.reasons())
        .containsExactly(
            "config.json: 32 experts, 4 for each token",
            "tensors of experts in 4 layers",
            "tensors of routers");
    assertThat(report.parameters()).isEqualTo(10_783_232);
    assertThat(report.activeParameters()).hasValue(2_525_696);
    assertThat(report.auxiliaryParameters()).isZero();
    assertThat(report.sizeBytes()).isEqualTo(2 * 10_783_232);
    assertThat(report.bytesPerToken())
        .hasValue(2 * 2_525_696); // the embedding is also the output layer, so all of it is read
    assertThat(report.expertBytes()).isEqualTo(4 * 32 * 73_728 * 2);
    assertThat(report.layers())
        .hasSize(4)
        .allMatch(
            layer ->
                layer.numExperts() == 32
                    && layer.topK() == 4
                    && layer.expertParameters() == 73_728);
    assertThat(report.sparsity()).isEqualTo(1 - 2_525_696.0 / 10_783_232);
    assertThat(report.granularity()).isEqualTo(96 / 256.0);
    assertThat(report.formats())
        .containsExactly(new ModelReport.Format("BF16", 422, 2 * 10_783_232, true));
    assertThat(report.obstacles()).isEmpty();
  }

  /**
   * Parameters are counted from file sizes: (bytes - header) / 4. Active parameters are all
   * parameters minus sparseLayers * (experts - topK) * 3 * 64 * width; for gpt-oss also minus the
   * biases of the experts that are not chosen.
   */
  @ParameterizedTest
  @CsvSource({
    "mixtral, 546752, 214976, 3, 0",
    "qwen2_moe, 492800, 271616, 3, 0",
    "qwen3_moe, 585344, 253568, 3, 0",
    "olmoe, 560960, 229184, 3, 0",
    "deepseek_v3, 501456, 280272, 2, 1",
    "deepseek_v32, 526992, 305808, 2, 1",
    "gpt_oss, 441764, 292004, 3, 0",
    "llama, 176576, 176576, 0, 0"
  })
  void countsEveryGolden(
      String family, long parameters, long active, int sparseLayers, int leadingDense)
      throws IOException {
    ModelReport report = ModelReport.of(Goldens.folder(family));
    assertThat(report.parameters()).isEqualTo(parameters);
    assertThat(report.activeParameters()).hasValue(active);
    assertThat(report.isMixtureOfExperts()).isEqualTo(sparseLayers > 0);
    assertThat(report.layers().stream().filter(layer -> layer.numExperts() > 0))
        .hasSize(sparseLayers);
    assertThat(report.leadingDenseLayers()).isEqualTo(leadingDense);
    assertThat(report.bytesPerToken()).hasValue(4 * (active - 511 * 64));
    if (family.equals("deepseek_v32")) {
      assertThat(report.obstacles())
          .singleElement()
          .asString()
          .contains("model type deepseek_v32 is not supported yet");
    } else {
      assertThat(report.obstacles()).isEmpty();
    }
  }

  @Test
  void tellsSharedExpertsApart() {
    ModelReport.Layer layer = ModelReport.of(Goldens.folder("qwen2_moe")).layers().get(0);
    assertThat(layer.expertParameters()).isEqualTo(3 * 48 * 64);
    assertThat(layer.sharedParameters()).isEqualTo(3 * 96 * 64 + 64);
  }

  /** The report gives the same figures as the opened model. */
  @ParameterizedTest
  @ValueSource(strings = {"0.25", "0.1", "1"})
  void tellsWhatABudgetHolds(double share) {
    ModelReport report = ModelReport.of(Goldens.kjvMoe());
    ModelReport.Budget budget = report.budget(share);
    LoadOptions options = LoadOptions.defaults().withBudget(ExpertBudget.ofShare(share));
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), options)) {
      assertThat(report.fullBudgetBytes()).isEqualTo(model.expertBytes());
      assertThat(budget.budgetBytes()).isEqualTo(model.expertBudgetBytes());
      assertThat(budget.totalBytes()).isEqualTo(report.residentBytes() + model.expertBudgetBytes());
      assertThat(budget.numExperts()).isEqualTo(mostResident(model));
      assertThat(budget.expertsPerLayer()).isEqualTo(budget.numExperts() / 4.0);
    }
  }

  /** The largest number of experts in memory during a text that chooses all of them. */
  private static long mostResident(LanguageModel model) {
    int[] ids = IntStream.range(0, 1000).toArray();
    model.forward(ids, ids.length, ForwardListener.NONE);
    assertThat(model.expertCounters().distinctExperts()).isEqualTo(128);
    return model.expertCounters().peakResidentBytes() / (model.expertBytes() / 128);
  }

  @Test
  void countsWholeSlots() {
    ModelReport report = ModelReport.of(Goldens.kjvMoe());
    assertThat(report.slotBytes()).isGreaterThanOrEqualTo(2 * 73_728);
    assertThat(report.budget(32 * report.slotBytes() - 1).numExperts()).isEqualTo(31);
    assertThat(report.budget(report.fullBudgetBytes() - 1).numExperts()).isEqualTo(127);
    assertThat(report.budget(report.slotBytes() - 1).numExperts()).isZero();
    assertThat(report.budget(Long.MAX_VALUE))
        .extracting(ModelReport.Budget::numExperts, ModelReport.Budget::totalBytes)
        .containsExactly(128L, report.residentBytes() + report.fullBudgetBytes());
    assertThatThrownBy(() -> report.budget(1.5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("share must lie in [0, 1], found 1.5");
    assertThat(ModelReport.of(Goldens.folder("llama")).budget(1.0).numExperts()).isZero();
  }

  /** 470 GB in 118 files. The published index gives the total of 470,187,269,120 bytes. */
  @Test
  void reportsHundredsOfGigabytesInUnderASecond() throws IOException {
    PublishedCheckpoint.qwen3(folder, "qwen3_235b_a22b", 118);
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    // processor time instead of elapsed time, as other work may share the machine
    long begin = threads.getCurrentThreadCpuTime();
    ModelReport report = ModelReport.of(folder);
    double seconds = (threads.getCurrentThreadCpuTime() - begin) * 1e-9;
    assertThat(report.numTensors()).isEqualTo(36_945);
    assertThat(report.sizeBytes()).isEqualTo(470_187_269_120L);
    assertThat(report.parameters()).isEqualTo(235_093_634_560L);
    assertThat(report.activeParameters()).hasValue(22_190_763_520L); // "A22B"
    assertThat(report.obstacles()).isEmpty();
    assertThat(seconds).isLessThan(1);
  }

  @Test
  void reportsThirtyBillionAsPublished() throws IOException {
    PublishedCheckpoint.qwen3(folder, "qwen3_30b_a3b", 16);
    ModelReport report = ModelReport.of(folder);
    assertThat(report.parameters()).isEqualTo(30_532_122_624L);
    assertThat(report.activeParameters().getAsLong() * 1e-9)
        .isCloseTo(3.3, within(0.06)); // "3.3B activated"
    assertThat(report.sparsity()).isCloseTo(0.89, within(0.005));
    assertThat(report.granularity()).isEqualTo(0.375);
  }

  @Test
  void countsBlocksOfFp8() throws IOException {
    config(
        "deepseek_v3",
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 2",
        "\"first_k_dense_replace\": 1",
        "\"first_k_dense_replace\": 2",
        "\"use_cache\": true",
        "\"use_cache\": true, \"quantization_config\": {\"quant_method\": \"fp8\"}");
    new SafetensorsFile()
        .add("model.layers.0.mlp.up_proj.weight", "F8_E4M3", 256, 128)
        .add("model.layers.0.mlp.up_proj.weight_scale_inv", "F32", 2, 1)
        .add("model.layers.1.input_layernorm.weight", "BF16", 64)
        .add("model.layers.2.mlp.up_proj.weight", "F8_E4M3", 10)
        .write(folder.resolve("model.safetensors"));
    ModelReport report = ModelReport.of(folder);
    assertThat(report.parameters()).isEqualTo(256 * 128 + 64);
    assertThat(report.auxiliaryParameters())
        .isEqualTo(10); // the layer that predicts a second token
    assertThat(report.formats())
        .containsExactly(
            new ModelReport.Format("F8_E4M3", 2, 256 * 128 + 10, false),
            new ModelReport.Format("BF16", 1, 128, true),
            new ModelReport.Format("F32", 1, 8, true));
    assertThat(report.obstacles())
        .singleElement()
        .asString()
        .contains("weight_scale_inv: quantised weights (fp8, as config.json says)");
  }

  @Test
  void countsBlocksOfMxfp4() throws IOException {
    config(
        "gpt_oss",
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 1",
        "\"sliding_attention\",\n    \"full_attention\",",
        "");
    new SafetensorsFile()
        .add("model.layers.0.mlp.experts.gate_up_proj_blocks", "U8", 8, 128, 2, 16)
        .add("model.layers.0.mlp.experts.gate_up_proj_scales", "U8", 8, 128, 2)
        .add("model.layers.0.mlp.router.weight", "BF16", 8, 64)
        .write(folder.resolve("model.safetensors"));
    ModelReport report = ModelReport.of(folder);
    assertThat(report.parameters()).isEqualTo(8 * 128 * 64 + 8 * 64);
    assertThat(report.activeParameters()).hasValue(4 * 128 * 64 + 8 * 64);
    assertThat(report.layers().get(0).expertBytes()).isEqualTo(128 * 34);
    assertThat(report.formats().get(0))
        .isEqualTo(new ModelReport.Format("MXFP4", 2, 8 * 128 * 34, false));
    assertThat(report.obstacles()).hasSize(1);
  }

  @Test
  void goesByTensorsWhereThereIsNoConfiguration() {
    Path file =
        new SafetensorsFile()
            .add("model.layers.0.mlp.experts.0.up_proj.weight", "F16", 3, 5)
            .add("model.layers.0.mlp.experts.1.up_proj.weight", "F16", 3, 5)
            .add("model.layers.0.mlp.gate.weight", "F16", 2, 5)
            .write(folder.resolve("some.safetensors"));
    ModelReport report = ModelReport.of(file);
    assertThat(report.reasons())
        .containsExactly("tensors of experts in 1 layer", "tensors of routers");
    assertThat(report.parameters()).isEqualTo(40);
    assertThat(report.activeParameters()).isEmpty();
    assertThat(report.obstacles())
        .containsExactly(file + ": expected the folder of a checkpoint, found a file");
    assertThat(
            ModelReport.of(Goldens.folder("mixtral").resolve("golden.safetensors"))
                .isMixtureOfExperts())
        .isFalse();
  }

  /** Also where the configuration contradicts the tensors, as opening does. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"num_local_experts\": 8|\"num_local_experts\": 9|9 experts per layer, but 3 layers have tensors of 8",
        "\"num_hidden_layers\": 3|\"num_hidden_layers\": 4|has 4 layers, but there are tensors of 3",
        "\"num_hidden_layers\": 3|\"num_hidden_layers\": 2|has 2 layers, but there are tensors of 1 after them",
        "mixtral\",&\"num_local_experts\": 8|llama\",&\"num_local_experts\": null|of a dense model, but there are tensors of experts",
        "\"hidden_size\": 64|\"hidden_size\": -1|config.json is not understood: ",
        "{|[|config.json cannot be read: "
      })
  void whatContradictsTheTensorsIsARemark(String change) throws IOException {
    String[] parts = change.split("\\|");
    String[] old = parts[0].split("&");
    String[] changed = parts[1].split("&");
    String[] changes = new String[2 * old.length];
    for (int i = 0; i < changes.length; i++) changes[i] = (i % 2 == 0 ? old : changed)[i / 2];
    config("mixtral", changes);
    Files.copy(
        Goldens.folder("mixtral").resolve("model.safetensors"),
        folder.resolve("model.safetensors"));
    ModelReport report = ModelReport.of(folder);
    assertThat(report.remarks()).anySatisfy(remark -> assertThat(remark).contains(parts[2]));
    assertThat(report.isMixtureOfExperts()).isTrue();
    assertThat(report.parameters()).isEqualTo(546_752);
    assertThat(report.layers()).hasSize(3).allMatch(layer -> layer.numExperts() == 8);
    assertThat(report.budget(1.0).numExperts()).isEqualTo(24);
    requirePromiseKept(report, folder);
  }

  /** A tokenizer, too, is checked as opening checks it. */
  @Test
  void aBrokenTokenizerStandsAgainstRunning() throws IOException {
    Path kjv = Goldens.kjvMoe();
    for (String name : new String[] {"config.json", "model.safetensors", "tokenizer.json"})
      Files.copy(kjv.resolve(name), folder.resolve(name));
    requirePromiseKept(ModelReport.of(folder), folder);
    assertThat(ModelReport.of(folder).obstacles()).isEmpty();
    Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": 1}");
    assertThat(ModelReport.of(folder).obstacles()).hasSize(1);
    requirePromiseKept(ModelReport.of(folder), folder);
    Files.copy(kjv.resolve("tokenizer.json"), folder.resolve("tokenizer.json"), REPLACE_EXISTING);
    Files.writeString(folder.resolve("generation_config.json"), "{\"temperature\": -1}");
    assertThat(ModelReport.of(folder).obstacles())
        .singleElement()
        .asString()
        .contains("temperature");
  }

  /** Opening refuses with the obstacle that the report names, or opens where there is none. */
  private static void requirePromiseKept(ModelReport report, Path folder) {
    LoadOptions options = LoadOptions.defaults().withThreads(1);
    if (report.obstacles().isEmpty()) LanguageModel.open(folder, options).close();
    else
      assertThatThrownBy(() -> LanguageModel.open(folder, options))
          .hasMessage(report.obstacles().get(0));
  }

  @Test
  void expertsOfAnotherShapeStandAgainstRunning() throws IOException {
    config("mixtral", "\"intermediate_size\": 96", "\"intermediate_size\": 95");
    Files.copy(
        Goldens.folder("mixtral").resolve("model.safetensors"),
        folder.resolve("model.safetensors"));
    ModelReport report = ModelReport.of(folder);
    assertThat(report.obstacles()).singleElement().asString().contains("expected shape [95, 64]");
    assertThat(report.slotBytes()).isEqualTo(report.layers().get(0).expertBytes());
  }

  @Test
  void leavesNoFileOpen() throws IOException {
    ModelReport.of(Goldens.kjvMoe());
    long before = openFiles();
    for (int i = 0; i < 20; i++) ModelReport.of(Goldens.kjvMoe());
    assertThat(openFiles()).isLessThanOrEqualTo(before);
  }

  private static long openFiles() {
    return ((com.sun.management.UnixOperatingSystemMXBean)
            ManagementFactory.getOperatingSystemMXBean())
        .getOpenFileDescriptorCount();
  }

  private void config(String family, String... changes) throws IOException {
    String text = Files.readString(Goldens.folder(family).resolve("config.json"));
    for (int i = 0; i < changes.length; i += 2) {
      assertThat(text).contains(changes[i]);
      text = text.replace(changes[i], changes[i + 1]);
    }
    Files.writeString(folder.resolve("config.json"), text);
  }
}
