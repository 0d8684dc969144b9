package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Tensor;
import org.winnow.UnsupportedFormatException;
import org.winnow.attention.RopeFrequencies;
import org.winnow.memory.TensorInfo;

/** Families describe published models as their publishers count and name them. */
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
    return Family.describe(
        ModelConfig.read(Files.writeString(folder.resolve("config.json"), config)));
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
      if (mlp.experts() instanceof DecoderSpec.InterleavedExperts)
        expert += 2L * mlp.intermediateSize() + spec.hiddenSize();
      count += expert * mlp.numExperts();
    }
    assertEquals(published, count);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"deepseek_v3", "gpt_oss", "llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"})
  void namesExactlyTheTensorsOfItsCheckpoints(String family) {
    DecoderSpec spec = Family.describe(ModelConfig.read(Goldens.folder(family)));
    Set<String> named = new HashSet<>();
    spec.weights()
        .forEach(weight -> assertTrue(named.add(weight.name()), weight.name() + " twice"));
    spec.forEachExpertTensor(name -> assertTrue(named.add(name), name + " twice"));
    Set<String> stored = new HashSet<>();
    for (TensorInfo tensor : Safetensors.tensors(Goldens.folder(family))) stored.add(tensor.name());
    assertEquals(stored, named);
  }

  @Test
  void deepseekScalesScoresByTheSquareOfYarnsMagnitude() throws IOException {
    DecoderSpec.LatentAttention attention =
        assertInstanceOf(
            DecoderSpec.LatentAttention.class,
            published("deepseek_v3").layers().get(60).attention());
    double magnitude = 0.1 * Math.log(40) + 1; // mscale_all_dim 1, factor 40
    assertEquals(magnitude * magnitude / Math.sqrt(192), attention.scale(), 1e-8);
    assertEquals(1536, attention.queryDown().outputSize());
    assertEquals(576, attention.latentDown().outputSize());
    assertTrue(attention.interleavedRope());
  }

  @Test
  void gptOssAlternatesItsWindowAndHasSinks() throws IOException {
    DecoderSpec spec = published("gpt_oss_20b");
    for (int i = 0; i < 24; i++) {
      DecoderSpec.GroupedQueryAttention attention =
          (DecoderSpec.GroupedQueryAttention) spec.layers().get(i).attention();
      assertEquals(i % 2 == 0 ? 128 : 0, attention.slidingWindow());
      assertEquals("model.layers." + i + ".self_attn.sinks", attention.sinks());
    }
  }

  @Test
  void deepseeksFirstLayersAreDenseAndItsExpertsComeInGroups() throws IOException {
    DecoderSpec spec = published("deepseek_v3");
    for (int i = 0; i < 61; i++)
      assertEquals(i < 3, spec.layers().get(i).mlp() instanceof DecoderSpec.DenseMlp, "layer " + i);
    DecoderSpec.ExpertMlp mlp = (DecoderSpec.ExpertMlp) spec.layers().get(3).mlp();
    assertEquals(8, mlp.rule().build().numExpertGroups());
    assertEquals(4, mlp.rule().build().topKGroups());
    assertEquals(2.5f, mlp.rule().build().scalingFactor());
    assertNull(mlp.sharedGate());
    assertArrayEquals(
        new long[] {2048, 7168},
        new long[] {mlp.shared().gate().outputSize(), mlp.shared().gate().inputSize()});
  }

  @Test
  void llama3StretchesItsLongWavelengths() throws IOException {
    RopeFrequencies expected = RopeFrequencies.llama3(128, 500_000, 8, 1, 4, 8192);
    RopeFrequencies found = published("llama_31_8b").rope();
    assertEquals(64, found.numPairs());
    for (int i = 0; i < 64; i++)
      assertEquals(expected.frequency(i), found.frequency(i), "pair " + i);
    assertTrue(found.frequency(63) < RopeFrequencies.standard(128, 500_000).frequency(63) / 7);
  }

  /**
   * Values clamped to next to nothing: attention adds nothing to the residual stream, as if its
   * output projection were zero.
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
    assertArrayEquals(logits(zeroed), logits(clipped));
    assertNotEquals(
        Arrays.hashCode(logits(Goldens.folder("olmoe"))), Arrays.hashCode(logits(clipped)));
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
  @CsvSource({"deepseek_v2_lite, deepseek_v2", "deepseek_v3, fp8", "gpt_oss_20b, mxfp4"})
  void refusesByNameWhatIsNotComputed(String name, String named) {
    UnsupportedFormatException e =
        assertThrows(
            UnsupportedFormatException.class,
            () -> Family.describe(ModelConfig.read(Goldens.configuration(name))));
    assertTrue(e.getMessage().contains(named), e.getMessage());
  }
}
