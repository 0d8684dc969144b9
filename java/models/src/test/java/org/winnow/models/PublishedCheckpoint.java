package org.winnow.models;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Writes checkpoints with the names, shapes, shards and index of published ones. The data is a hole
 * in each file, so hundreds of gigabytes take no disk space.
 */
final class PublishedCheckpoint {
  private record Entry(String name, long[] shape) {}

  private PublishedCheckpoint() {}

  static void qwen3(Path folder, String name, int numShards) throws IOException {
    Path configuration = Goldens.configuration(name);
    Files.copy(configuration, folder.resolve("config.json"));
    ModelConfig config = ModelConfig.read(folder);
    List<Entry> entries = new ArrayList<>();
    long d = config.hiddenSize();
    long head = config.attention().headDim();
    long q = config.attention().numHeads() * head;
    long kv = config.attention().numKvHeads() * head;
    long f = config.experts().intermediateSize();
    add(entries, "model.embed_tokens.weight", config.vocabularySize(), d);
    for (int layer = 0; layer < config.numLayers(); layer++) {
      String prefix = "model.layers." + layer + ".";
      add(entries, prefix + "input_layernorm.weight", d);
      add(entries, prefix + "self_attn.q_proj.weight", q, d);
      add(entries, prefix + "self_attn.k_proj.weight", kv, d);
      add(entries, prefix + "self_attn.v_proj.weight", kv, d);
      add(entries, prefix + "self_attn.o_proj.weight", d, q);
      add(entries, prefix + "self_attn.q_norm.weight", head);
      add(entries, prefix + "self_attn.k_norm.weight", head);
      add(entries, prefix + "post_attention_layernorm.weight", d);
      add(entries, prefix + "mlp.gate.weight", config.experts().numExperts(), d);
      for (int expert = 0; expert < config.experts().numExperts(); expert++) {
        add(entries, prefix + "mlp.experts." + expert + ".gate_proj.weight", f, d);
        add(entries, prefix + "mlp.experts." + expert + ".up_proj.weight", f, d);
        add(entries, prefix + "mlp.experts." + expert + ".down_proj.weight", d, f);
      }
    }
    add(entries, "model.norm.weight", d);
    add(entries, "lm_head.weight", config.vocabularySize(), d);
    write(folder, entries, numShards);
  }

  private static void add(List<Entry> entries, String name, long... shape) {
    entries.add(new Entry(name, shape));
  }

  private static void write(Path folder, List<Entry> entries, int numShards) throws IOException {
    StringBuilder index = new StringBuilder("{\"metadata\":{},\"weight_map\":{");
    for (int shard = 0; shard < numShards; shard++) {
      String file = String.format("model-%05d-of-%05d.safetensors", shard + 1, numShards);
      SafetensorsFile tensors = new SafetensorsFile();
      for (int i = entries.size() * shard / numShards;
          i < entries.size() * (shard + 1) / numShards;
          i++) {
        tensors.add(entries.get(i).name(), "BF16", entries.get(i).shape());
        index
            .append(i == 0 ? "" : ",")
            .append('"')
            .append(entries.get(i).name())
            .append("\":\"")
            .append(file)
            .append('"');
      }
      tensors.write(folder.resolve(file));
    }
    Files.writeString(folder.resolve(Safetensors.INDEX_FILE), index.append("}}"));
  }
}
