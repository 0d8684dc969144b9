package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;
import org.winnow.op.Activation;

class ModelConfigTest {
  @TempDir Path folder;

  /** Golden checkpoints use current spellings. */
  @ParameterizedTest
  @CsvSource(
      nullValues = "-",
      value = {
        "mixtral, 8, 2, 96, true, 1e-5, 1e6", "qwen2_moe, 12, 4, 48, false, 1e-6, 1e4",
            "qwen3_moe, 16, 4, 48, true, 1e-6, 1e4",
        "olmoe, 16, 4, 48, false, 1e-5, 1e4", "deepseek_v3, 16, 4, 48, true, 1e-6, 1e4",
            "deepseek_v32, 16, 4, 48, true, 1e-6, 1e4",
        "gpt_oss, 8, 4, 64, true, 1e-5, 150000"
      })
  void readsEveryGolden(
      String family,
      int numExperts,
      int topK,
      int intermediateSize,
      boolean renormalise,
      double epsilon,
      double theta) {
    ModelConfig config = ModelConfig.read(Goldens.folder(family));
    assertThat(config.modelType()).isEqualTo(family);
    assertThat(config.hiddenSize()).isEqualTo(64);
    assertThat(config.numLayers()).isEqualTo(3);
    assertThat(config.vocabularySize()).isEqualTo(512);
    assertThat(config.contextLength())
        .isEqualTo(family.equals("gpt_oss") ? 32 * 4096 : 512); // YaRN counts
    assertThat(config.storedType()).isEqualTo("float32");
    assertThat(config.epsilon()).isEqualTo(epsilon);
    assertThat(config.rope().theta()).isEqualTo(theta);
    assertThat(config.experts().numExperts()).isEqualTo(numExperts);
    assertThat(config.experts().topK()).isEqualTo(topK);
    assertThat(config.experts().intermediateSize()).isEqualTo(intermediateSize);
    assertThat(config.experts().renormalise()).isEqualTo(renormalise);
    assertThat(config.beginTokens()).containsExactly(1);
    assertThat(config.stopTokens()).containsExactly(2);
  }

  @Test
  void readsTheDenseGolden() {
    ModelConfig config = ModelConfig.read(Goldens.folder("llama"));
    assertThat(config.experts()).isNull();
    assertThat(config.isSparse(0)).isFalse();
    assertThat(config.attention())
        .isEqualTo(new ModelConfig.Attention(4, 2, 16, false, false, 0, List.of(0, 0, 0)));
    assertThat(config.activation()).isEqualTo(Activation.SILU);
  }

  @Test
  void readsTheDemonstrationModel() {
    ModelConfig config = ModelConfig.read(Goldens.kjvMoe());
    assertThat(config.activation()).isEqualTo(Activation.RELU);
    assertThat(config.tiedEmbeddings()).isTrue();
    assertThat(config.experts().numExperts()).isEqualTo(32);
    assertThat(config.stopTokens()).containsExactly(0);
    assertThat(config.rope().type()).isEqualTo("default");
  }

  @Test
  void readsLatentAttentionAndGroups() {
    ModelConfig config = ModelConfig.read(Goldens.folder("deepseek_v32"));
    assertThat(config.latentAttention())
        .isEqualTo(new ModelConfig.LatentAttention(48, 32, 32, 16, 32, true));
    assertThat(config.attention().headDim()).isEqualTo(48);
    assertThat(config.indexer()).isEqualTo(new ModelConfig.Indexer(4, 32, 16));
    assertThat(config.layerTypes()).containsOnly("indexed_attention");
    assertThat(config.experts().sparseLayers()).containsExactly(false, true, true);
    assertThat(config.experts().sharedIntermediateSize()).isEqualTo(48);
    assertThat(config.experts())
        .extracting(
            ModelConfig.Experts::scoring,
            ModelConfig.Experts::method,
            ModelConfig.Experts::numGroups,
            ModelConfig.Experts::topGroups,
            ModelConfig.Experts::scalingFactor)
        .containsExactly("softmax", "greedy", 4, 2, 2.5); // of a family that is not computed
    assertThat(ModelConfig.read(Goldens.folder("deepseek_v3")).experts().sparseLayers())
        .containsExactly(false, true, true);
  }

  @Test
  void readsGptOss() {
    ModelConfig config = ModelConfig.read(Goldens.folder("gpt_oss"));
    assertThat(config.activation()).isEqualTo(Activation.CLAMPED_SWIGLU);
    assertThat(config.attention())
        .isEqualTo(new ModelConfig.Attention(4, 2, 32, true, true, 0, List.of(16, 0, 16)));
    assertThat(config.rope())
        .isEqualTo(
            new ModelConfig.Rope(
                "yarn", 150_000, 32, 4096, null, null, 32.0, 1.0, false, null, null, null, 1));
    assertThat(config.experts().swigluLimit()).isEqualTo(7);
  }

  @Test
  void readsBiasesAndSharedExpertsOfQwen2() {
    ModelConfig config = ModelConfig.read(Goldens.folder("qwen2_moe"));
    assertThat(config.attention().qkvBias()).isTrue();
    assertThat(config.attention().outputBias()).isFalse();
    assertThat(config.experts().sharedGate()).isTrue();
    assertThat(config.experts().sharedIntermediateSize()).isEqualTo(96);
  }

  /** Configurations as published with their weights, in the spellings of that time. */
  @ParameterizedTest
  @CsvSource({
    "mixtral_8x7b, 8, 2, 14336, true, 32",
    "qwen15_moe_a27b, 60, 4, 1408, false, 24",
    "qwen3_30b_a3b, 128, 8, 768, true, 48",
    "qwen3_235b_a22b, 128, 8, 1536, true, 94",
    "olmoe_1b_7b, 64, 8, 1024, false, 16",
    "deepseek_v2_lite, 64, 6, 1408, false, 26",
    "deepseek_v3, 256, 8, 2048, true, 58",
    "gpt_oss_20b, 32, 4, 2880, true, 24"
  })
  void readsOlderSpellings(
      String name,
      int numExperts,
      int topK,
      int intermediateSize,
      boolean renormalise,
      int numSparse)
      throws IOException {
    ModelConfig.Experts experts = published(name).experts();
    assertThat(experts.numExperts()).isEqualTo(numExperts);
    assertThat(experts.topK()).isEqualTo(topK);
    assertThat(experts.intermediateSize()).isEqualTo(intermediateSize);
    assertThat(experts.renormalise()).isEqualTo(renormalise);
    assertThat(Collections.frequency(experts.sparseLayers(), true)).isEqualTo(numSparse);
  }

  @Test
  void readsOlderRope() throws IOException {
    assertThat(published("mixtral_8x7b").rope().theta()).isEqualTo(1e6);
    assertThat(published("deepseek_v3").rope())
        .isEqualTo(
            new ModelConfig.Rope(
                "yarn", 10_000, 40, 4096, null, null, 32.0, 1.0, true, null, 1.0, 1.0, 1));
    assertThat(published("llama_31_8b").rope())
        .isEqualTo(
            new ModelConfig.Rope(
                "llama3", 500_000, 8, 8192, 1.0, 4.0, null, null, true, null, null, null, 1));
    assertThat(published("llama_1").rope())
        .isEqualTo(
            new ModelConfig.Rope(
                "linear", 10_000, 4, 2048, null, null, null, null, true, null, null, null, 1));
  }

  @Test
  void readsWhatOnlySomeCarry() throws IOException {
    assertThat(published("llama_31_8b").stopTokens()).containsExactly(128001, 128008, 128009);
    assertThat(published("llama_31_8b").attention().headDim()).isEqualTo(128);
    assertThat(published("llama_1").attention().numKvHeads()).isEqualTo(32);
    assertThat(published("deepseek_v3").quantization()).isEqualTo("fp8");
    assertThat(published("gpt_oss_20b").quantization()).isEqualTo("mxfp4");
    assertThat(published("deepseek_v2_lite").latentAttention().queryRank()).isZero();
    assertThat(published("deepseek_v2_lite").experts().scoring()).isEqualTo("softmax");
    assertThat(published("deepseek_v2_lite").experts().sharedIntermediateSize()).isEqualTo(2816);
    assertThat(published("olmoe_1b_7b").beginTokens()).isEmpty();
  }

  @Test
  void takesStopTokensOfTheGenerationConfig() throws IOException {
    golden("llama");
    Files.writeString(
        folder.resolve("generation_config.json"),
        "{\"eos_token_id\": [7, 8], \"temperature\": 0.6}");
    assertThat(ModelConfig.read(folder).stopTokens()).containsExactly(7, 8);
    Files.writeString(folder.resolve("generation_config.json"), "{}");
    assertThat(ModelConfig.read(folder).stopTokens()).containsExactly(2);
    Files.writeString(folder.resolve("generation_config.json"), "{\"eos_token_id\": \"</s>\"}");
    refused(
        "generation_config.json: eos_token_id: expected integers from -1 to 2147483647, found \"</s>\"");
  }

  @Test
  void slidesOnTheLayersThatTheFamilyMeans() throws IOException {
    golden("mixtral", "\"sliding_window\": null", "\"sliding_window\": 5");
    assertThat(ModelConfig.read(folder).attention().slidingWindows()).containsExactly(5, 5, 5);
    golden("qwen3_moe", "\"sliding_window\": null", "\"sliding_window\": 5");
    assertThat(ModelConfig.read(folder).attention().slidingWindows())
        .containsExactly(0, 0, 0); // use_sliding_window is false
    golden(
        "qwen2_moe",
        "\"sliding_window\": 0,\n  \"tie_word_embeddings\": false,\n  \"transformers_version\": \"5.18.0\",\n  \"use_cache\": true,\n"
            + "  \"use_sliding_window\": false",
        "\"sliding_window\": 5, \"use_sliding_window\": true");
    assertThat(ModelConfig.read(folder).attention().slidingWindows())
        .containsExactly(0, 0, 0); // layer_types names no sliding layer
    String types =
        "\"layer_types\": [\n    \"full_attention\",\n    \"full_attention\",\n    \"full_attention\"\n  ],";
    golden(
        "qwen2_moe",
        types,
        "",
        "\"sliding_window\": 0",
        "\"sliding_window\": 5",
        "\"use_sliding_window\": false",
        "\"use_sliding_window\": true");
    assertThat(ModelConfig.read(folder).attention().slidingWindows()).containsExactly(5, 0, 5);
    golden(
        "llama", "\"pretraining_tp\": 1", "\"sliding_window\": 5"); // llama's code has no windows
    assertThat(ModelConfig.read(folder).attention().slidingWindows()).containsExactly(0, 0, 0);
  }

  @Test
  void countsSparseLayersAsQwenDoes() throws IOException {
    golden("qwen3_moe", "\"decoder_sparse_step\": 1", "\"decoder_sparse_step\": 2");
    assertThat(ModelConfig.read(folder).experts().sparseLayers())
        .containsExactly(false, true, false);
    golden("qwen3_moe", "\"mlp_only_layers\": []", "\"mlp_only_layers\": [1, 2]");
    assertThat(ModelConfig.read(folder).experts().sparseLayers())
        .containsExactly(true, false, false);
  }

  @Test
  void readsTheTextPartOfAModelForImages() throws IOException {
    String text = Files.readString(Goldens.folder("qwen3_moe").resolve("config.json"));
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\": \"qwen3_vl_moe\", \"tie_word_embeddings\": true, \"text_config\": "
            + text
            + "}");
    assertThat(ModelConfig.read(folder).modelType()).isEqualTo("qwen3_moe");
    assertThat(ModelConfig.read(folder).hiddenSize()).isEqualTo(64);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        "mixtral | \"hidden_size\": 64 | \"hidden_size\": \"64\" | hidden_size: expected an integer from 1 to 16777216, found \"64\"",
        "mixtral | \"hidden_size\": 64 | \"hidden_size\": 64.0 | hidden_size: expected an integer from 1 to 16777216, found 64.0",
        "mixtral | \"hidden_size\": 64 | \"hidden_size\": -64 | hidden_size: expected an integer from 1 to 16777216, found -64",
        "mixtral | \"hidden_size\": 64 | \"hidden_size\": 1e400 | hidden_size: expected an integer from 1 to 16777216, found Infinity",
        "mixtral | \"hidden_size\": 64 | \"hidden_size\": 99999999999999999999 | hidden_size: expected an integer from 1 to 16777216, found 99999999999999999999",
        "mixtral | \"hidden_size\": 64 | \"hidden_size\": 66 | hidden_size: expected a multiple of 4 heads, as head_dim is not given, found 66",
        "mixtral | \"model_type\": \"mixtral\" | \"model_type\": [] | model_type: expected a string, found a list of 0",
        "mixtral | \"num_experts_per_tok\": 2 | \"num_experts_per_tok\": 9 | num_experts_per_tok: expected at most 8 experts per token, found 9",
        "mixtral | \"num_experts_per_tok\": 2 | \"num_experts_per_tok\": 2, \"experts_per_token\": 3 | experts_per_token: expected 2 as its other spelling num_experts_per_tok says, found 3",
        "mixtral | \"num_key_value_heads\": 2 | \"num_key_value_heads\": 3 | num_key_value_heads: expected a divisor of 4 query heads, found 3",
        "mixtral | \"rms_norm_eps\": 1e-05 | \"rms_norm_eps\": 0 | rms_norm_eps: expected a number from 1.1754943508222875E-38 to 1.0, found 0",
        "mixtral | \"tie_word_embeddings\": false | \"tie_word_embeddings\": 0 | tie_word_embeddings: expected true or false, found 0",
        "mixtral | \"rope_type\": \"default\" | \"rope_type\": \"yarn\" | rope_parameters.factor: expected a number from 1.1754943508222875E-38 to 1.0E12, found nothing",
        "mixtral | \"hidden_act\": \"silu\" | \"hidden_act\": \"silu\", \"hidden_act\": \"relu\" | hidden_act: expected one entry of this name, found a second one",
        "gpt_oss | \"full_attention\", | ~~ | layer_types: expected a list of 3, found a list of 2",
        "gpt_oss | \"sliding_window\": 16 | \"sliding_window\": null | sliding_window: expected a width, as layer_types names sliding layers, found null",
        "gpt_oss | \"sliding_window\": 16 | \"sliding_window\": 0 | sliding_window: expected a width, as layer_types names sliding layers, found 0",
        "deepseek_v3 | \"n_group\": 4 | \"n_group\": 5 | n_group: expected a divisor of 16 experts, found 5",
        "deepseek_v3 | \"qk_rope_head_dim\": 16 | \"qk_rope_head_dim\": 15 | qk_rope_head_dim: expected an even width, as pairs are rotated, found 15"
      })
  void refusesWithKeyExpectedAndFound(
      String family, String part, String replacement, String message) throws IOException {
    golden(family, part, replacement);
    refused("config.json: " + message);
  }

  /** What nothing uses may hold anything; Python writes numbers that JSON has not. */
  @Test
  void ignoresWhatNothingUses() throws IOException {
    golden(
        "llama",
        "\"use_cache\": true",
        "\"time_step_limit\": [0.0, Infinity], \"a\": -Infinity, \"logit_cap\": NaN, \"use_cache\": {}, \"b\": [[null, {\"c\": 1e999}]]",
        "\"dtype\": \"float32\"",
        "\"dtype\": \"float32\", \"torch_dtype\": \"bfloat16\"",
        "\"bos_token_id\": 1",
        "\"bos_token_id\": -1",
        "[\n    \"LlamaForCausalLM\"\n  ]",
        "7");
    ModelConfig config = ModelConfig.read(folder);
    assertThat(config.unsupported()).isEmpty();
    assertThat(config.storedType()).isEqualTo("float32");
    assertThat(config.architectures()).isEmpty();
    assertThat(config.beginTokens()).isEmpty();
  }

  /** No token has the id -1. */
  @Test
  void aTokenOfMinusOneIsNone() throws IOException {
    golden("llama", "\"eos_token_id\": 2", "\"eos_token_id\": -1");
    assertThat(ModelConfig.read(folder).stopTokens()).isEmpty();
    golden("llama", "\"eos_token_id\": 2", "\"eos_token_id\": [-1, 7]");
    assertThat(ModelConfig.read(folder).stopTokens()).containsExactly(7);
    golden("llama", "\"eos_token_id\": 2", "\"eos_token_id\": -2");
    refused("config.json: eos_token_id: expected integers from -1 to 2147483647, found -2");
  }

  @Test
  void refusesGptOssWithOtherNumbersThanTheKernelHas() throws IOException {
    golden("gpt_oss", "\"use_cache\": true", "\"swiglu_limit\": 10.0");
    assertThatThrownBy(ModelConfig.read(folder)::activation)
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("swiglu_limit 10.0 with");
  }

  @Test
  void namesActivationsThatNothingComputes() throws IOException {
    golden("llama", "\"hidden_act\": \"silu\"", "\"hidden_act\": \"xielu\"");
    ModelConfig config = ModelConfig.read(folder);
    assertThatThrownBy(config::activation)
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("activation xielu is not supported yet");
  }

  private ModelConfig published(String name) throws IOException {
    return ModelConfig.read(Goldens.configuration(name));
  }

  /**
   * The configuration of a golden checkpoint with parts replaced. Arguments alternate: a part, its
   * replacement, the next part and so on.
   */
  private void golden(String family, String... changes) throws IOException {
    String text = Files.readString(Goldens.folder(family).resolve("config.json"));
    for (int i = 0; i < changes.length; i += 2) {
      assertThat(text).contains(changes[i]);
      text = text.replace(changes[i], changes[i + 1]);
    }
    Files.writeString(folder.resolve("config.json"), text);
  }

  private void refused(String message) {
    assertThatThrownBy(() -> ModelConfig.read(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(message);
  }
}
