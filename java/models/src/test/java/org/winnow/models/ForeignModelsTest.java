package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Reports on families that Winnow does not compute, in the shapes in which they are published. */
class ForeignModelsTest {
  /** Each layout has 4 experts of 3 * 8 * 16 weights per layer, 2 for a token. */
  private static final long EXPERT = 3 * 8 * 16;

  @TempDir Path folder;

  private static SafetensorsFile file() {
    return new SafetensorsFile().add("norm.weight", "BF16", 16);
  }

  private static SafetensorsFile each(String beginning, String... matrices) {
    SafetensorsFile file = file();
    for (int expert = 0; expert < 4; expert++)
      for (String matrix : matrices)
        file.add(beginning + expert + "." + matrix + ".weight", "BF16", EXPERT / matrices.length);
    return file;
  }

  static Stream<Arguments> layouts() {
    String of2 = "\"num_experts_per_tok\": 2";
    return Stream.of(
        Arguments.of(
            "qwen3_moe",
            "\"num_experts\": 4, " + of2,
            each("model.layers.0.mlp.experts.", "gate_proj", "up_proj", "down_proj")),
        Arguments.of(
            "minimax_m2",
            "\"num_local_experts\": 4, " + of2,
            each("model.layers.0.block_sparse_moe.experts.", "w1", "w2", "w3")),
        Arguments.of(
            "lfm2_moe",
            "\"num_experts\": 4, " + of2,
            each("model.layers.0.feed_forward.experts.", "w1", "w2", "w3")),
        Arguments.of(
            "deepseek_v4",
            "\"n_routed_experts\": 4, " + of2,
            each("layers.0.ffn.experts.", "w1", "w2", "w3")),
        Arguments.of(
            "nemotron_h",
            "\"n_routed_experts\": 4, " + of2,
            each("backbone.layers.0.mixer.experts.", "up_proj", "down_proj")),
        Arguments.of(
            "switch_transformers",
            "\"num_experts\": 4, \"num_selected_experts\": 2",
            each("encoder.block.0.layer.1.mlp.experts.expert_", "wi", "wo")),
        Arguments.of(
            "qwen3_5_moe",
            "\"text_config\": {\"num_experts\": 4, " + of2 + "}",
            file()
                .add("model.language_model.layers.0.mlp.experts.gate_up_proj", "BF16", 4, 16, 16)
                .add("model.language_model.layers.0.mlp.experts.down_proj", "BF16", 4, 16, 8)),
        Arguments.of(
            "llama4",
            "\"text_config\": {\"num_local_experts\": 4, " + of2 + "}",
            file()
                .add(
                    "language_model.model.layers.0.feed_forward.experts.gate_up_proj",
                    "BF16",
                    4,
                    16,
                    16)
                .add(
                    "language_model.model.layers.0.feed_forward.experts.down_proj",
                    "BF16",
                    4,
                    8,
                    16)),
        Arguments.of(
            "gemma4",
            "\"text_config\": {\"num_experts\": 4, \"top_k_experts\": 2}",
            file()
                .add("model.language_model.layers.0.experts.gate_up_proj", "BF16", 4, 16, 16)
                .add("model.language_model.layers.0.experts.down_proj", "BF16", 4, 16, 8)),
        Arguments.of(
            "inkling",
            "\"num_experts\": 4, " + of2,
            file()
                .add("model.layers.0.mlp.experts.w13_weight", "BF16", 4, 16, 16)
                .add("model.layers.0.mlp.experts.w2_weight", "BF16", 4, 16, 8)),
        Arguments.of(
            "step3p5",
            "\"moe_num_experts\": 4, \"moe_top_k\": 2",
            file()
                .add("model.layers.0.moe.gate_proj.weight", "BF16", 4, 8, 16)
                .add("model.layers.0.moe.up_proj.weight", "BF16", 4, 8, 16)
                .add("model.layers.0.moe.down_proj.weight", "BF16", 4, 16, 8)),
        Arguments.of(
            "granitemoe",
            "\"num_local_experts\": 4, " + of2,
            file()
                .add("model.layers.0.block_sparse_moe.input_linear.weight", "BF16", 4, 16, 16)
                .add("model.layers.0.block_sparse_moe.output_linear.weight", "BF16", 4, 16, 8)),
        Arguments.of(
            "dbrx",
            "\"ffn_config\": {\"moe_num_experts\": 4, \"moe_top_k\": 2}",
            file()
                .add("transformer.blocks.0.ffn.experts.mlp.w1", "BF16", 4 * 8, 16)
                .add("transformer.blocks.0.ffn.experts.mlp.v1", "BF16", 4 * 8, 16)
                .add("transformer.blocks.0.ffn.experts.mlp.w2", "BF16", 4 * 8, 16)),
        Arguments.of(
            "an MLX copy",
            "\"num_experts\": 4, " + of2 + ", \"quantization\": {\"group_size\": 8, \"bits\": 4}",
            file()
                .add("model.layers.0.mlp.switch_mlp.up_proj.weight", "U32", 4, 24, 2)
                .add("model.layers.0.mlp.switch_mlp.up_proj.scales", "BF16", 4, 24, 2)
                .add("model.layers.0.mlp.switch_mlp.up_proj.biases", "BF16", 4, 24, 2)),
        Arguments.of(
            "kimi_k3",
            "\"n_routed_experts\": 4, " + of2,
            file()
                .add(
                    "language_model.model.layers.0.block_sparse_moe.experts.0.w1.weight_packed",
                    "U8",
                    12,
                    16)
                .add(
                    "language_model.model.layers.0.block_sparse_moe.experts.1.w1.weight_packed",
                    "U8",
                    12,
                    16)
                .add(
                    "language_model.model.layers.0.block_sparse_moe.experts.2.w1.weight_packed",
                    "U8",
                    12,
                    16)
                .add(
                    "language_model.model.layers.0.block_sparse_moe.experts.3.w1.weight_packed",
                    "U8",
                    12,
                    16)));
  }

  @ParameterizedTest
  @MethodSource("layouts")
  void everyLayoutOfExpertsIsCounted(String type, String config, SafetensorsFile file)
      throws IOException {
    file.write(folder.resolve("model.safetensors"));
    Files.writeString(
        folder.resolve("config.json"), "{\"model_type\": \"" + type + "\", " + config + "}");
    ModelReport report = ModelReport.of(folder);
    assertThat(report.family()).isEqualTo(type);
    assertThat(report.isMixtureOfExperts()).isTrue();
    assertThat(report.layers())
        .singleElement()
        .satisfies(
            layer -> {
              assertThat(layer.numExperts()).isEqualTo(4);
              assertThat(layer.topK()).isEqualTo(2);
              assertThat(layer.expertParameters()).isEqualTo(EXPERT);
              assertThat(layer.parameters()).isEqualTo(4 * EXPERT);
            });
    assertThat(report.parameters()).isEqualTo(4 * EXPERT + 16);
    assertThat(report.activeParameters()).hasValue(2 * EXPERT + 16);
    assertThat(report.expertBytes()).isEqualTo(report.sizeBytes() - 32);
    assertThat(report.obstacles()).hasSize(1);
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .hasMessage(report.obstacles().get(0));

    Files.delete(folder.resolve("config.json"));
    report = ModelReport.of(folder);
    assertThat(report.remarks()).contains("there is no config.json");
    assertThat(report.family()).isNull();
    assertThat(report.expertBytes()).isEqualTo(report.sizeBytes() - 32);
    assertThat(report.activeParameters()).isEmpty();
    if (!type.equals("dbrx")) // whose tensors do not tell the number
    assertThat(report.layers().get(0).numExperts()).isEqualTo(4);
    else
      assertThat(report.remarks())
          .contains("how many experts a layer has is not known; they count as one");
  }

  @Test
  void stacksAreToldApart() throws IOException {
    file()
        .add("encoder.block.0.layer.0.weight", "F32", 8)
        .add("decoder.block.0.layer.0.weight", "F32", 8)
        .add("decoder.block.0.layer.2.mlp.experts.expert_0.wi.weight", "F32", 8)
        .add("decoder.block.1.layer.2.weight", "F32", 8)
        .add("visual.blocks.0.weight", "F32", 8)
        .add("mtp.layers.0.mlp.experts.0.up_proj.weight", "F32", 8)
        .write(folder.resolve("model.safetensors"));
    ModelReport report = ModelReport.of(folder);
    assertThat(report.layers().stream().map(layer -> layer.stack() + " " + layer.index()))
        .containsExactly(
            "decoder.block 0", "decoder.block 1", "encoder.block 0", "visual.blocks 0");
    assertThat(report.auxiliaryParameters()).isEqualTo(8);
    assertThat(report.leadingDenseLayers()).isZero();
  }

  @Test
  void layersMayHaveDifferentNumbersOfExperts() throws IOException {
    SafetensorsFile file = file();
    for (int layer = 0; layer < 3; layer++)
      for (int expert = 0; expert < layer * 2; expert++)
        file.add("layers." + layer + ".experts." + expert + ".w1.weight", "F32", 4);
    file.write(folder.resolve("model.safetensors"));
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\": \"odd\", \"num_experts\": 4, \"num_experts_per_tok\": 3}");
    ModelReport report = ModelReport.of(folder);
    assertThat(report.layers().stream().map(ModelReport.Layer::numExperts)).containsExactly(2, 4);
    assertThat(report.layers().stream().map(ModelReport.Layer::topK)).containsExactly(2, 3);
    assertThat(report.remarks())
        .contains("config.json has 4 experts per layer, but 1 layer has tensors of 2");
    assertThat(report.budget(1.0).numExperts()).isEqualTo(6);
  }

  /** Nothing but unusual files. */
  @Test
  void filesOfOtherNamesAreDescribedWithARemark() throws IOException {
    file().write(folder.resolve("adapter_model.safetensors"));
    Files.writeString(folder.resolve("adapter_config.json"), "{}");
    ModelReport report = ModelReport.of(folder);
    assertThat(report.remarks()).contains("weights are in adapter_model.safetensors");
    assertThat(report.obstacles()).singleElement().asString().contains("an adapter");
    file().add("other", "F32", 2).write(folder.resolve("zz.safetensors"));
    report = ModelReport.of(folder);
    assertThat(report.numTensors()).isEqualTo(1);
    assertThat(report.remarks())
        .contains("zz.safetensors repeats names of tensors, so it is not counted");
  }

  @Test
  void noTensorsAtAll() throws IOException {
    new SafetensorsFile().write(folder.resolve("model.safetensors"));
    Files.writeString(folder.resolve("config.json"), "{}");
    ModelReport report = ModelReport.of(folder);
    assertThat(report.parameters()).isZero();
    assertThat(report.sparsity()).isZero();
    assertThat(report.budget(1.0).totalBytes()).isZero();
    assertThat(report.obstacles()).hasSize(1);
  }

  /** Empty tensors of experts, and extents near 2^63. */
  @Test
  void extentsOfAnySize() throws IOException {
    file()
        .add("model.layers.0.mlp.experts.gate_up_proj", "F32", 0, 1L << 40, 1L << 20)
        .add("model.layers.1.mlp.experts.0.up_proj.weight", "F32", 0)
        .add("model.layers.999999.mlp.experts.999999.up_proj.weight", "F32", 1)
        .add("model.embed_tokens.weight", "F32", 1, 0)
        .write(folder.resolve("model.safetensors"));
    ModelReport report = ModelReport.of(folder);
    assertThat(report.parameters()).isEqualTo(17);
    assertThat(report.budget(0.5).numExperts()).isZero();
  }

  /** A configuration may be anything: whatever it is, a report is made. */
  @Test
  void noConfigurationEndsAReport() throws IOException {
    Path golden = Goldens.folder("mixtral");
    Files.copy(golden.resolve("model.safetensors"), folder.resolve("model.safetensors"));
    byte[] config = Files.readAllBytes(golden.resolve("config.json"));
    for (int seed = 0; seed < 300; seed++) {
      byte[] mutated = new JsonMutator(seed).mutate(config);
      Files.write(folder.resolve("config.json"), mutated);
      ModelReport report = ModelReport.of(folder);
      assertThat(report.parameters()).as("seed " + seed).isEqualTo(546_752);
      report.budget(new Random(seed).nextDouble());
    }
    for (String odd :
        List.of("", "null", "[1]", "{\"text_config\": 7}", "{\"num_experts\": 1e400}")) {
      Files.writeString(folder.resolve("config.json"), odd);
      assertThat(ModelReport.of(folder).remarks()).as(odd).isNotEmpty();
    }
  }
}
