package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Tensor;
import org.winnow.UnsupportedFormatException;
import org.winnow.attention.RopeFrequencies;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * Families describe published models with the parameter counts and tensor names that their
 * publishers give.
 */
class FamilyTest {
  @TempDir Path folder;

  /** The description of a published configuration, as if its weights were not quantized. */
  private DecoderSpec published(String name) throws IOException {
    String config = Files.readString(Goldens.configuration(name));
    int begin = config.indexOf("\"quantization_config\"");
    if (begin >= 0)
      config =
          config.substring(0, begin)
              + "\"unused\": "
              + config.substring(config.indexOf('{', begin));
    return describe(ModelConfig.read(Files.writeString(folder.resolve("config.json"), config)));
  }

  /** The description of a checkpoint whose tensors have the usual names. */
  private static DecoderSpec describe(ModelConfig config) {
    try (Checkpoint none = new Checkpoint(List.of())) {
      return Family.describe(config, new DecoderNames(config, none));
    }
  }

  @ParameterizedTest
  @CsvSource({
    "llama_31_8b, 8030261248",
    "mixtral_8x7b, 46702792704",
    "qwen15_moe_a27b, 14315784192",
    "qwen3_30b_a3b, 30532122624",
    "qwen3_235b_a22b, 235093634560",
    "olmoe_1b_7b, 6919161856",
    "gpt_oss_20b, 20914757184",
    "deepseek_v3, 671026419200"
  })
  void countsTheParametersOfPublishedModels(String name, long published) throws IOException {
    DecoderSpec spec = published(name);
    long count = 0;
    for (DecoderSpec.Weight weight : spec.weights())
      count += Arrays.stream(weight.shape()).reduce(1, (a, b) -> a * b);
    for (DecoderSpec.Layer layer : spec.layers()) {
      if (!(layer.mlp() instanceof DecoderSpec.ExpertMlp mlp)) continue;
      long expert = 3L * mlp.intermediateSize() * spec.hiddenSize();
      if (mlp.experts().layout() == ExpertTensors.Layout.INTERLEAVED)
        expert += 2L * mlp.intermediateSize() + spec.hiddenSize();
      count += expert * mlp.numExperts();
    }
    assertThat(count).isEqualTo(published);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"deepseek_v3", "gpt_oss", "llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"})
  void namesExactlyTheTensorsOfItsCheckpoints(String family) {
    DecoderSpec spec = describe(ModelConfig.read(Goldens.folder(family)));
    Set<String> named = new HashSet<>();
    spec.weights()
        .forEach(
            weight -> assertThat(named.add(weight.name())).as(weight.name() + " twice").isTrue());
    spec.forEachExpertTensor(name -> assertThat(named.add(name)).as(name + " twice").isTrue());
    Set<String> stored = new HashSet<>();
    for (TensorInfo tensor : Safetensors.tensors(Goldens.folder(family))) stored.add(tensor.name());
    assertThat(named).isEqualTo(stored);
  }

  @Test
  void deepseekScalesScoresByTheSquareOfYarnsMagnitude() throws IOException {
    DecoderSpec.LatentAttention attention =
        (DecoderSpec.LatentAttention) published("deepseek_v3").layers().get(60).attention();
    double magnitude = 0.1 * Math.log(40) + 1; // mscale_all_dim 1, factor 40
    assertThat((double) attention.scale())
        .isCloseTo(magnitude * magnitude / Math.sqrt(192), within(1e-8));
    assertThat(attention.queryDown().outputSize()).isEqualTo(1536);
    assertThat(attention.latentDown().outputSize()).isEqualTo(576);
    assertThat(attention.interleavedRope()).isTrue();
  }

  @Test
  void gptOssAlternatesItsWindowAndHasSinks() throws IOException {
    DecoderSpec spec = published("gpt_oss_20b");
    for (int i = 0; i < 24; i++) {
      DecoderSpec.GroupedQueryAttention attention =
          (DecoderSpec.GroupedQueryAttention) spec.layers().get(i).attention();
      assertThat(attention.slidingWindow()).isEqualTo(i % 2 == 0 ? 128 : 0);
      assertThat(attention.sinks()).isEqualTo("model.layers." + i + ".self_attn.sinks");
    }
  }

  @Test
  void deepseeksFirstLayersAreDenseAndItsExpertsComeInGroups() throws IOException {
    DecoderSpec spec = published("deepseek_v3");
    for (int i = 0; i < 61; i++)
      assertThat(spec.layers().get(i).mlp() instanceof DecoderSpec.DenseMlp)
          .as("layer " + i)
          .isEqualTo(i < 3);
    DecoderSpec.ExpertMlp mlp = (DecoderSpec.ExpertMlp) spec.layers().get(3).mlp();
    assertThat(mlp.rule().build().numExpertGroups()).isEqualTo(8);
    assertThat(mlp.rule().build().topKGroups()).isEqualTo(4);
    assertThat(mlp.rule().build().scalingFactor()).isEqualTo(2.5f);
    assertThat(mlp.sharedGate()).isNull();
    assertThat(mlp.shared().gate().outputSize()).isEqualTo(2048);
    assertThat(mlp.shared().gate().inputSize()).isEqualTo(7168);
  }

  @Test
  void llama3StretchesItsLongWavelengths() throws IOException {
    RopeFrequencies expected = RopeFrequencies.llama3(128, 500_000, 8, 1, 4, 8192);
    RopeFrequencies found = published("llama_31_8b").rope();
    assertThat(found.numPairs()).isEqualTo(64);
    for (int i = 0; i < 64; i++)
      assertThat(found.frequency(i)).as("pair " + i).isEqualTo(expected.frequency(i));
    assertThat(found.frequency(63))
        .isLessThan(RopeFrequencies.standard(128, 500_000).frequency(63) / 7);
  }

  /**
   * With a clip of nearly zero, attention adds nothing to the residual stream, as if its output
   * projection were zero.
   */
  @Test
  void olmoesClipReachesWhatAttentionReads() throws IOException {
    Path clipped = Files.createDirectory(folder.resolve("clipped"));
    Path zeroed = Files.createDirectory(folder.resolve("zeroed"));
    String config = Files.readString(Goldens.folder("olmoe").resolve("config.json"));
    TensorFile tensors = TensorFile.read(Goldens.folder("olmoe").resolve("model.safetensors"));
    tensors.write(clipped.resolve("model.safetensors"));
    Files.writeString(
        clipped.resolve("config.json"),
        config.replace("\"clip_qkv\": null", "\"clip_qkv\": 1e-30"));
    tensors
        .map(
            name -> name.endsWith("o_proj.weight"),
            tensor ->
                new TensorFile.Stored(
                    tensor.type(), tensor.shape(), new byte[tensor.bytes().length]))
        .write(zeroed.resolve("model.safetensors"));
    Files.writeString(zeroed.resolve("config.json"), config);
    assertThat(logits(clipped)).isEqualTo(logits(zeroed));
    assertThat(logits(clipped)).isNotEqualTo(logits(Goldens.folder("olmoe")));
  }

  private static float[] logits(Path model) {
    float[][] result = new float[1][];
    try (LanguageModel opened = LanguageModel.open(model, LoadOptions.defaults())) {
      opened.forward(
          new int[] {4, 99, 3, 250},
          0,
          new ForwardListener() {
            @Override
            public void onLogits(int firstPosition, Tensor logits) {
              result[0] = logits.toFloatArray();
            }
          });
    }
    return result[0];
  }

  @ParameterizedTest
  @CsvSource({"deepseek_v2_lite, deepseek_v2"})
  void refusesByNameWhatIsNotSupported(String name, String named) {
    ModelConfig config = ModelConfig.read(Goldens.configuration(name));
    assertThatThrownBy(() -> Family.requireSupported(config))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining(named);
  }
}
