package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
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
import org.winnow.UnsupportedFormatException;
import org.winnow.memory.TensorInfo;

/** Families describe published models as their publishers count and name them. */
class FamilyTest {
  @TempDir Path folder;

  /** The description of a published configuration, as if its weights were not quantized. */
  private DecoderSpec published(String name) throws IOException {
    String config = Files.readString(Goldens.configuration(name));
    int begin = config.indexOf("\"quantization_config\"");
    if (begin >= 0) config = config.substring(0, begin) + "\"unused\": " + config.substring(config.indexOf('{', begin));
    return Family.describe(ModelConfig.read(Files.writeString(folder.resolve("config.json"), config)));
  }

  @ParameterizedTest
  @CsvSource({
    "llama_31_8b, 8030261248", "mixtral_8x7b, 46702792704", "qwen15_moe_a27b, 14315784192", "qwen3_30b_a3b, 30532122624", "qwen3_235b_a22b, 235093634560",
    "olmoe_1b_7b, 6919161856", "gpt_oss_20b, 20914757184", "deepseek_v3, 671026419200"
  })
  void countsTheParametersOfPublishedModels(String name, long published) throws IOException {
    DecoderSpec spec = published(name);
    long count = 0;
    for (DecoderSpec.Weight weight : spec.weights()) count += Arrays.stream(weight.shape()).reduce(1, (a, b) -> a * b);
    for (DecoderSpec.Layer layer : spec.layers()) {
      if (!(layer.mlp() instanceof DecoderSpec.ExpertMlp mlp)) continue;
      long expert = 3L * mlp.intermediateSize() * spec.hiddenSize();
      if (mlp.experts() instanceof DecoderSpec.InterleavedExperts) expert += 2L * mlp.intermediateSize() + spec.hiddenSize();
      count += expert * mlp.numExperts();
    }
    assertEquals(published, count);
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek_v3", "gpt_oss", "llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"})
  void namesExactlyTheTensorsOfItsCheckpoints(String family) {
    DecoderSpec spec = Family.describe(ModelConfig.read(Goldens.folder(family)));
    Set<String> named = new HashSet<>();
    spec.weights().forEach(weight -> assertTrue(named.add(weight.name()), weight.name() + " twice"));
    spec.forEachExpertTensor(name -> assertTrue(named.add(name), name + " twice"));
    Set<String> stored = new HashSet<>();
    for (TensorInfo tensor : Safetensors.tensors(Goldens.folder(family))) stored.add(tensor.name());
    assertEquals(stored, named);
  }

  @Test
  void deepseekScalesScoresByTheSquareOfYarnsMagnitude() throws IOException {
    DecoderSpec.LatentAttention attention = assertInstanceOf(DecoderSpec.LatentAttention.class, published("deepseek_v3").layers().get(60).attention());
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
      DecoderSpec.GroupedQueryAttention attention = (DecoderSpec.GroupedQueryAttention) spec.layers().get(i).attention();
      assertEquals(i % 2 == 0 ? 128 : 0, attention.slidingWindow());
      assertEquals("model.layers." + i + ".self_attn.sinks", attention.sinks());
    }
  }

  @Test
  void deepseeksFirstLayersAreDenseAndItsExpertsComeInGroups() throws IOException {
    DecoderSpec spec = published("deepseek_v3");
    for (int i = 0; i < 61; i++) assertEquals(i < 3, spec.layers().get(i).mlp() instanceof DecoderSpec.DenseMlp, "layer " + i);
    DecoderSpec.ExpertMlp mlp = (DecoderSpec.ExpertMlp) spec.layers().get(3).mlp();
    assertEquals(8, mlp.rule().build().numExpertGroups());
    assertEquals(4, mlp.rule().build().topKGroups());
    assertEquals(2.5f, mlp.rule().build().scalingFactor());
    assertNull(mlp.sharedGate());
    assertArrayEquals(new long[] {2048, 7168}, new long[] {mlp.shared().gate().outputSize(), mlp.shared().gate().inputSize()});
  }

  @ParameterizedTest
  @CsvSource({"deepseek_v2_lite, deepseek_v2", "deepseek_v3, fp8", "gpt_oss_20b, mxfp4"})
  void refusesByNameWhatIsNotComputed(String name, String named) {
    UnsupportedFormatException e =
        assertThrows(UnsupportedFormatException.class, () -> Family.describe(ModelConfig.read(Goldens.configuration(name))));
    assertTrue(e.getMessage().contains(named), e.getMessage());
  }
}
