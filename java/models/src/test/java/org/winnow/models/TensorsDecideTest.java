package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/**
 * Where the configuration and the tensors disagree, the tensors decide, or the model is refused.
 */
class TensorsDecideTest {
  private static final String UNTIED = "\"tie_word_embeddings\": false";
  private static final String TIED = "\"tie_word_embeddings\": true";

  @TempDir Path folder;

  private TensorFile tensors(String family) {
    return TensorFile.read(Goldens.folder(family).resolve("model.safetensors"));
  }

  private void write(String family, TensorFile tensors, String... changes) throws IOException {
    tensors.write(folder.resolve("model.safetensors"));
    String config = Files.readString(Goldens.folder(family).resolve("config.json"));
    for (int i = 0; i < changes.length; i += 2) {
      assertThat(config).contains(changes[i]);
      config = config.replace(changes[i], changes[i + 1]);
    }
    Files.writeString(folder.resolve("config.json"), config);
  }

  private void opensAs(Path expected) {
    assertThat(StoredExpertsTest.logits(folder)).isEqualTo(StoredExpertsTest.logits(expected));
  }

  private void refused(Class<? extends Exception> type, String... parts) {
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()).close())
        .isInstanceOf(type)
        .hasMessageContainingAll(parts);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "mixtral", "qwen3_moe"})
  void anOutputMatrixThatIsThereIsUsed(String family) throws IOException {
    write(family, tensors(family), UNTIED, TIED);
    opensAs(Goldens.folder(family));
  }

  @Test
  void tiedWithoutAnOutputMatrixOrWithAnEqualOneIsTheSame() throws IOException {
    TensorFile file = tensors("llama");
    file.tensors.remove("lm_head.weight");
    write("llama", file, UNTIED, TIED);
    float[] without = StoredExpertsTest.logits(folder);
    file.tensors.put("lm_head.weight", file.tensors.get("model.embed_tokens.weight"));
    write("llama", file, UNTIED, TIED);
    assertThat(StoredExpertsTest.logits(folder)).isEqualTo(without);
    file.tensors.remove("lm_head.weight");
    write("llama", file);
    refused(
        CheckpointException.class,
        "model.safetensors: lm_head.weight: expected a tensor of that name, as tie_word_embeddings is not true");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "gpt_oss | {\"quant_method\": \"mxfp4\", \"modules_to_not_convert\": [\"lm_head\"]}",
        "deepseek_v3 | {\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]}",
        "mixtral | {\"quant_method\": 4}",
        "llama | []"
      })
  void aQuantisationThatNoTensorHasChangesNothing(String family, String quantisation)
      throws IOException {
    write(
        family,
        tensors(family),
        "\"use_cache\": true",
        "\"use_cache\": true, \"quantization_config\": " + quantisation);
    opensAs(Goldens.folder(family));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "mlp.gate_proj.weight_scale_inv",
        "mlp.gate_proj.weight_scale",
        "mlp.experts.gate_up_proj_blocks",
        "mlp.experts.gate_up_proj_scales",
        "mlp.gate_proj.weight_packed",
        "mlp.gate_proj.qweight",
        "mlp.gate_proj.qzeros",
        "mlp.gate_proj.scales",
        "mlp.gate_proj.biases",
        "mlp.gate_proj.g_idx",
        "mlp.gate_proj.weight_zero_point",
        "mlp.gate_proj.weight.absmax"
      })
  void quantisedTensorsAreRefusedByNameAndMethod(String name) throws IOException {
    TensorFile file = tensors("llama");
    file.tensors.put(
        "model.layers.1." + name, new TensorFile.Stored("U8", new long[] {4}, new byte[4]));
    write(
        "llama",
        file,
        "\"use_cache\": true",
        "\"quantization_config\": {\"quant_method\": \"some_method\"}");
    refused(
        UnsupportedFormatException.class,
        "model.safetensors: model.layers.1." + name + ": quantised weights (", // and the method
        "BF16");
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "gpt_oss"})
  void aLayerAfterTheLastIsRefusedWhereTheFamilyHasNone(String family) throws IOException {
    String types =
        family.equals("gpt_oss")
            ? "\"full_attention\",\n    \"sliding_attention\"\n  ]"
            : "\"full_attention\",\n    \"full_attention\",\n    \"full_attention\"\n  ]";
    String fewer =
        family.equals("gpt_oss")
            ? "\"full_attention\"]"
            : "\"full_attention\", \"full_attention\"]";
    if (family.equals("gpt_oss") || family.equals("qwen2_moe"))
      write(
          family,
          tensors(family),
          "\"num_hidden_layers\": 3",
          "\"num_hidden_layers\": 2",
          types,
          fewer);
    else write(family, tensors(family), "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 2");
    refused(CheckpointException.class, "model.layers.2.", "expected only tensors of a " + family);
  }

  @Test
  void moreLayersThanTensorsAreRefusedByTheKeysName() throws IOException {
    write("llama", tensors("llama"), "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 16384");
    refused(
        CheckpointException.class,
        "config.json: num_hidden_layers: expected as many layers as there are tensors of, found 16384, and no tensor of model.layers.3");
  }

  @Test
  void aMessageNamesTheFirstOfManyReasons() throws IOException {
    write(
        "llama",
        tensors("llama"),
        "\"use_cache\": true",
        "\"clip_qkv\": 1, \"alibi\": true, \"scale_emb\": 2, \"rotary_pct\": 0.5, \"logit_scale\": 3");
    assertThat(ModelConfig.read(folder).unsupported()).hasSize(5);
    refused(
        UnsupportedFormatException.class,
        "clip_qkv 1 is not supported (null is); ",
        "; and 2 more");
  }

  @Test
  void layersForFurtherTokensAreLeftUnread() throws IOException {
    TensorFile file = tensors("deepseek_v3");
    TensorFile.Stored any = file.tensors.get("model.norm.weight");
    file.tensors.put("model.layers.3.enorm.weight", any);
    write("deepseek_v3", file);
    opensAs(Goldens.folder("deepseek_v3"));
    write(
        "deepseek_v3", file, "\"num_nextn_predict_layers\": 1", "\"num_nextn_predict_layers\": 0");
    refused(CheckpointException.class, "model.layers.3.enorm.weight");
    file.tensors.put("model.layers.4.enorm.weight", any);
    write("deepseek_v3", file);
    refused(CheckpointException.class, "model.layers.4.enorm.weight");
  }

  @ParameterizedTest
  @ValueSource(strings = {"eh_proj", "enorm", "hnorm", "shared_head.norm", "embed_tokens"})
  void aLayerAfterTheLastIsForFurtherTokensIfItHasTheirTensors(String part) throws IOException {
    TensorFile file = tensors("deepseek_v3");
    TensorFile.Stored any = file.tensors.get("model.norm.weight");
    file.tensors.put("model.layers.3.mlp.gate.weight", any);
    write("deepseek_v3", file);
    refused(CheckpointException.class, "model.layers.3.mlp.gate.weight: expected only tensors of");
    file.tensors.put("model.layers.3." + part + ".weight", any);
    write("deepseek_v3", file);
    opensAs(Goldens.folder("deepseek_v3"));
  }

  @Test
  void theLastLayerIsNotTakenForOneOfFurtherTokens() throws IOException {
    write(
        "deepseek_v3",
        tensors("deepseek_v3"),
        "\"num_hidden_layers\": 3",
        "\"num_hidden_layers\": 2");
    refused(CheckpointException.class, "model.layers.2.", "expected only tensors of a deepseek_v3");
  }

  @ParameterizedTest
  @CsvSource({
    "model.language_model., lm_head.weight, model.visual.blocks.0.weight",
    "language_model.model., language_model.lm_head.weight, vision_tower.encoder.weight",
    "language_model.model., lm_head.weight, multi_modal_projector.linear_1.bias",
    "model., lm_head.weight, visual.patch_embed.weight",
    "model.language_model., lm_head.weight, mtp.layers.0.weight"
  })
  void theDecoderOfAModelForImagesIsFound(String prefix, String head, String other)
      throws IOException {
    TensorFile file = new TensorFile();
    file.tensors.put(other, new TensorFile.Stored("BF16", new long[] {2, 3}, new byte[12]));
    tensors("qwen3_moe")
        .tensors
        .forEach(
            (name, tensor) ->
                file.tensors.put(
                    name.equals("lm_head.weight") ? head : name.replaceFirst("^model\\.", prefix),
                    tensor));
    file.write(folder.resolve("model.safetensors"));
    String text = Files.readString(Goldens.folder("qwen3_moe").resolve("config.json"));
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\": \"internvl\", \"vision_config\": {\"hidden_size\": 5}, \"text_config\": "
            + text
            + "}");
    opensAs(Goldens.folder("qwen3_moe"));
    assertThat(ModelConfig.read(folder).wrapperType()).isEqualTo("internvl");
  }

  @Test
  void aDecoderWithoutPrefixIsFoundAndTwoAreRefused() throws IOException {
    TensorFile file = new TensorFile();
    tensors("llama")
        .tensors
        .forEach((name, tensor) -> file.tensors.put(name.replaceFirst("^model\\.", ""), tensor));
    write("llama", file);
    opensAs(Goldens.folder("llama"));
    file.tensors.put("model.embed_tokens.weight", file.tensors.get("embed_tokens.weight"));
    write("llama", file);
    refused(CheckpointException.class, "embed_tokens.weight: expected one decoder");
  }

  /** Gate and up are computed at once, in one type. */
  @ParameterizedTest
  @CsvSource({
    "llama, gate_proj, BF16",
    "llama, up_proj, F16",
    "qwen2_moe, shared_expert.gate_proj, BF16"
  })
  void eachMatrixHasATypeOfItsOwn(String family, String matrix, String type) throws IOException {
    TensorFile rounded = tensors(family);
    rounded.map(
        name -> name.endsWith("." + matrix + ".weight"), tensor -> tensor.to(type).to("F32"));
    write(family, rounded);
    float[] expected = StoredExpertsTest.logits(folder);
    write(
        family,
        rounded.map(name -> name.endsWith("." + matrix + ".weight"), tensor -> tensor.to(type)));
    assertThat(StoredExpertsTest.logits(folder)).isEqualTo(expected);
  }

  /** Another part of a model for images beside a decoder whose configuration knows of none. */
  @Test
  void otherPartsAreUnknownWhereTheConfigurationHasNone() throws IOException {
    TensorFile file = tensors("llama");
    file.tensors.put("visual.weight", file.tensors.get("model.norm.weight"));
    write("llama", file);
    refused(CheckpointException.class, "visual.weight: expected only tensors of a llama");
  }

  @ParameterizedTest
  @CsvSource({
    "deepseek_v3, model.layers.1.mlp.gate.e_score_correction_bias, NaN",
    "deepseek_v3, model.layers.2.mlp.gate.e_score_correction_bias, -Infinity",
    "gpt_oss, model.layers.1.mlp.router.bias, Infinity",
    "gpt_oss, model.layers.0.self_attn.sinks, NaN",
    "gpt_oss, model.layers.0.self_attn.sinks, Infinity",
    "gpt_oss, model.layers.2.self_attn.q_proj.bias, NaN",
    "llama, model.norm.weight, NaN",
    "mixtral, model.layers.0.input_layernorm.weight, Infinity",
    "qwen3_moe, model.layers.1.self_attn.q_norm.weight, NaN"
  })
  void aVectorThatIsNotFiniteIsRefusedWhenTheModelOpens(String family, String name, float value)
      throws IOException {
    write(family, tensors(family).map(name::equals, tensor -> with(tensor, 3, value)));
    refused(
        CheckpointException.class,
        "model.safetensors: " + name + ": expected finite numbers, found " + value + " at index 3");
  }

  /** A layer computes its experts in one type. */
  @ParameterizedTest
  @CsvSource({
    "mixtral, w1, BF16, w3, F16",
    "qwen3_moe, experts.3.up_proj, BF16, experts.7.down_proj, F16",
    "deepseek_v3, experts.0.gate_proj, F16, experts.9.gate_proj, BF16"
  })
  void eachExpertHasTypesOfItsOwn(
      String family, String first, String firstType, String second, String secondType)
      throws IOException {
    TensorFile file = tensors(family);
    Predicate<String> isFirst = name -> name.endsWith("." + first + ".weight");
    Predicate<String> isSecond = name -> name.endsWith("." + second + ".weight");
    file.map(isFirst, tensor -> tensor.to(firstType).to("F32"));
    write(family, file.map(isSecond, tensor -> tensor.to(secondType).to("F32")));
    float[] expected = StoredExpertsTest.logits(folder);
    file.map(isFirst, tensor -> tensor.to(firstType));
    write(family, file.map(isSecond, tensor -> tensor.to(secondType)));
    assertThat(StoredExpertsTest.logits(folder)).isEqualTo(expected);
  }

  @ParameterizedTest
  @CsvSource({
    "deepseek_v3, model.layers.1.mlp.gate.weight, NaN",
    "gpt_oss, model.layers.2.mlp.router.weight, -Infinity",
    "mixtral, model.layers.0.block_sparse_moe.gate.weight, Infinity",
    "qwen2_moe, model.layers.1.mlp.shared_expert_gate.weight, Infinity"
  })
  void aRouterThatIsNotFiniteIsRefusedWhenTheModelOpens(String family, String name, float value)
      throws IOException {
    write(family, tensors(family).map(name::equals, tensor -> with(tensor, 3, value)));
    refused(
        CheckpointException.class,
        name + ": expected finite numbers, found " + value + " at index [0, 3]");
  }

  @ParameterizedTest
  @CsvSource({"BF16, 66, NaN", "F16, 67, Infinity", "F16, 66, NaN"})
  void aRouterOfSixteenBitsIsCheckedToo(String type, int at, float value) throws IOException {
    String name = "model.layers.0.block_sparse_moe.gate.weight";
    TensorFile file = tensors("mixtral");
    write("mixtral", file.map(name::equals, tensor -> tensor.to(type)));
    LanguageModel.open(folder, LoadOptions.defaults()).close();
    write("mixtral", file.map(name::equals, tensor -> with(tensor.to("F32"), at, value).to(type)));
    refused(
        CheckpointException.class,
        name + ": expected finite numbers, found " + value + " at index [1, " + (at - 64) + "]");
  }

  /** A sink of -Infinity is no sink. */
  @Test
  void aSinkMayBeMinusInfinity() throws IOException {
    TensorFile file = tensors("gpt_oss");
    for (String name : List.copyOf(file.tensors.keySet()))
      if (name.endsWith(".sinks"))
        for (int head = 0; head < 4; head++)
          file.tensors.put(name, with(file.tensors.get(name), head, Float.NEGATIVE_INFINITY));
    write("gpt_oss", file);
    float[] without = StoredExpertsTest.logits(folder);
    for (String name : List.copyOf(file.tensors.keySet()))
      if (name.endsWith(".sinks"))
        for (int head = 0; head < 4; head++)
          file.tensors.put(name, with(file.tensors.get(name), head, -1e30f));
    write("gpt_oss", file);
    assertThat(StoredExpertsTest.logits(folder)).isEqualTo(without).doesNotContain(Float.NaN);
  }

  private static TensorFile.Stored with(TensorFile.Stored tensor, int index, float value) {
    byte[] bytes = tensor.bytes().clone();
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat(4 * index, value);
    return new TensorFile.Stored(tensor.type(), tensor.shape(), bytes);
  }
}
