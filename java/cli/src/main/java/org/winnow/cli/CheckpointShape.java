package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.MoeShape;

/**
 * The shape of a model for benchmarks: some layers of a named model, with a vocabulary of its own,
 * since a real one would take more memory than the few layers.
 *
 * @param modelType as {@code config.json} names the family
 */
record CheckpointShape(
    MoeShape moe, AttentionShape attention, String modelType, int numLayers, int vocabularySize) {
  /** Layers of a named model, or null if Winnow cannot make one of this shape. */
  static @Nullable CheckpointShape of(MoeShape moe, int numLayers, int vocabularySize) {
    return switch (moe) {
      case QWEN3_30B_A3B ->
          new CheckpointShape(
              moe, AttentionShape.QWEN3_30B_A3B, "qwen3_moe", numLayers, vocabularySize);
      case OLMOE ->
          new CheckpointShape(moe, AttentionShape.OLMOE, "olmoe", numLayers, vocabularySize);
      case GPT_OSS_20B ->
          new CheckpointShape(
              moe, AttentionShape.GPT_OSS_20B, "gpt_oss", numLayers, vocabularySize);
      case KJV_MOE ->
          new CheckpointShape(moe, AttentionShape.KJV_MOE, "qwen3_moe", numLayers, vocabularySize);
      case MIXTRAL_LIKE, DEEPSEEK_V2_LITE -> null;
    };
  }

  /** The name of its folder, which tells everything that its contents depend on. */
  String folderName() {
    return moe + "-" + numLayers + "-layers-" + vocabularySize + "-tokens-bf16";
  }

  /** Name and extents of each tensor, in the order of the file. */
  Map<String, long[]> tensors() {
    Map<String, long[]> tensors = new LinkedHashMap<>();
    long d = moe.hiddenSize();
    tensors.put("model.embed_tokens.weight", new long[] {vocabularySize, d});
    for (int layer = 0; layer < numLayers; layer++) {
      String prefix = "model.layers." + layer + ".";
      tensors.put(prefix + "input_layernorm.weight", new long[] {d});
      addAttention(tensors, prefix + "self_attn.");
      tensors.put(prefix + "post_attention_layernorm.weight", new long[] {d});
      if (modelType.equals("gpt_oss")) addJoinedExperts(tensors, prefix + "mlp.");
      else addExperts(tensors, prefix + "mlp.");
    }
    tensors.put("model.norm.weight", new long[] {d});
    tensors.put("lm_head.weight", new long[] {vocabularySize, d});
    return tensors;
  }

  private void addAttention(Map<String, long[]> tensors, String prefix) {
    long d = moe.hiddenSize();
    long width = attention.keyWidth();
    long q = attention.numHeads() * width;
    long kv = attention.numKvHeads() * width;
    boolean biased = modelType.equals("gpt_oss");
    add(tensors, prefix + "q_proj", biased, q, d);
    add(tensors, prefix + "k_proj", biased, kv, d);
    add(tensors, prefix + "v_proj", biased, kv, d);
    add(tensors, prefix + "o_proj", biased, d, q);
    if (biased) {
      tensors.put(prefix + "sinks", new long[] {attention.numHeads()});
    } else {
      boolean whole = modelType.equals("olmoe"); // norms before q and k are split into heads
      tensors.put(prefix + "q_norm.weight", new long[] {whole ? q : width});
      tensors.put(prefix + "k_norm.weight", new long[] {whole ? kv : width});
    }
  }

  private static void add(
      Map<String, long[]> tensors, String name, boolean biased, long rows, long columns) {
    tensors.put(name + ".weight", new long[] {rows, columns});
    if (biased) tensors.put(name + ".bias", new long[] {rows});
  }

  private void addExperts(Map<String, long[]> tensors, String prefix) {
    long d = moe.hiddenSize();
    long f = moe.intermediateSize();
    add(tensors, prefix + "gate", false, moe.numExperts(), d);
    for (int expert = 0; expert < moe.numExperts(); expert++) {
      String name = prefix + "experts." + expert + ".";
      add(tensors, name + "gate_proj", false, f, d);
      add(tensors, name + "up_proj", false, f, d);
      add(tensors, name + "down_proj", false, d, f);
    }
  }

  /** As gpt-oss stores them: each matrix of all experts in one tensor, transposed. */
  private void addJoinedExperts(Map<String, long[]> tensors, String prefix) {
    long d = moe.hiddenSize();
    long f = moe.intermediateSize();
    long e = moe.numExperts();
    add(tensors, prefix + "router", true, e, d);
    tensors.put(prefix + "experts.gate_up_proj", new long[] {e, d, 2 * f});
    tensors.put(prefix + "experts.gate_up_proj_bias", new long[] {e, 2 * f});
    tensors.put(prefix + "experts.down_proj", new long[] {e, f, d});
    tensors.put(prefix + "experts.down_proj_bias", new long[] {e, d});
  }

  /** The contents of {@code config.json}. */
  String config() {
    return JsonDocument.text(this::writeConfig);
  }

  private void writeConfig(JsonGenerator json) throws IOException {
    json.writeStartObject();
    json.writeStringField("model_type", modelType);
    json.writeStringField("dtype", "bfloat16");
    json.writeStringField("hidden_act", "silu");
    json.writeNumberField("vocab_size", vocabularySize);
    json.writeNumberField("hidden_size", moe.hiddenSize());
    json.writeNumberField("intermediate_size", moe.intermediateSize());
    json.writeNumberField("moe_intermediate_size", moe.intermediateSize());
    json.writeNumberField("num_hidden_layers", numLayers);
    json.writeNumberField("num_attention_heads", attention.numHeads());
    json.writeNumberField("num_key_value_heads", attention.numKvHeads());
    json.writeNumberField("head_dim", attention.keyWidth());
    json.writeNumberField("max_position_embeddings", attention.contextLimit());
    json.writeNumberField(
        modelType.equals("olmoe") ? "num_experts" : "num_local_experts", moe.numExperts());
    json.writeNumberField("num_experts_per_tok", moe.topK());
    if (!modelType.equals("gpt_oss")) json.writeBooleanField("norm_topk_prob", true);
    json.writeBooleanField("tie_word_embeddings", false);
    json.writeEndObject();
  }
}
