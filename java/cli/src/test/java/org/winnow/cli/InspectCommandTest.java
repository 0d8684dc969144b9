package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.cpu.InstructionSet;

class InspectCommandTest {
  @TempDir Path folder;

  @Test
  void tellsWhatTheShippedModelIs() {
    CapturedRun run = CapturedRun.of("inspect", Shipped.MODEL);
    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .contains(
            "mixture of experts",
            "10,783,232",
            "2,525,696",
            "76.6 % not used",
            "0 to 3: 32 experts of 144 KiB, 4 per token",
            "can run it")
        .containsPattern("activations +bf16, as matrices are stored in 16 bits")
        .containsPattern("key-value cache +bf16, as the activations .*, 2\\.00 KiB per token");
    assertThat(run.out())
        .contains(
            panels()
                ? "144 KiB per expert on the CPU, 18.0 MiB for all"
                : "148 KiB per expert on the CPU, 18.5 MiB for all");
    assertThat(run.out().lines())
        .anySatisfy(
            line -> assertThat(line).matches("25 % +4.(50|63) MiB +32 +8.00 +7.(07|19) MiB"));
  }

  /**
   * Experts in panels take as many bytes as stored. In rows they take 4 KiB more: whole disk
   * blocks, or a page for unaligned data.
   */
  private static boolean panels() {
    return InstructionSet.best() != InstructionSet.PORTABLE;
  }

  @Test
  void jsonHasTheSameFigures() throws IOException {
    CapturedRun run = CapturedRun.of("inspect", Shipped.MODEL, "--json");
    assertThat(run.exitCode()).isZero();
    Map<?, ?> report = JsonTree.parse(run.out());
    long slotKib = panels() ? 144 : 148;
    assertThat(report.get("mixture_of_experts")).isEqualTo(true);
    assertThat(report.get("parameters")).isEqualTo(10_783_232L);
    assertThat(report.get("active_parameters")).isEqualTo(2_525_696L);
    assertThat(report.get("expert_bytes")).isEqualTo(4L * 32 * 73_728 * 2);
    assertThat(report.get("slot_bytes")).isEqualTo(slotKib << 10);
    assertThat(report.get("full_budget_bytes")).isEqualTo(128 * slotKib << 10);
    assertThat((List<?>) report.get("layers"))
        .hasSize(4)
        .allSatisfy(layer -> assertThat(((Map<?, ?>) layer).get("num_experts")).isEqualTo(32L));
    assertThat(report.get("activations")).isEqualTo("bf16");
    assertThat(report.get("cache_type")).isEqualTo("bf16");
    assertThat(report.get("cache_bytes_per_token")).isEqualTo(4L * 2 * 4 * 32 * 2);
    assertThat((List<?>) report.get("budgets")).hasSize(5);
    assertThat((List<?>) report.get("obstacles")).isEmpty();
  }

  @Test
  void denseIsDenseAndWhatIsNotComputedIsSaid() throws IOException {
    CapturedRun dense = CapturedRun.of("inspect", Shipped.golden("llama"));
    assertThat(dense.out())
        .contains("dense (no sign of experts)")
        .containsPattern("activations +f32, as all matrices are stored in f32")
        .containsPattern("key-value cache +f32, as the activations")
        .doesNotContain("experts held");
    assertThat(
            (List<?>)
                JsonTree.parse(CapturedRun.of("inspect", Shipped.golden("llama"), "--json").out())
                    .get("budgets"))
        .isEmpty();
    assertThat(CapturedRun.of("inspect", Shipped.golden("deepseek_v32")).out())
        .contains("cannot run it, because ", "1 to 2: 16 experts", "and shared ones of")
        .doesNotContain("activations", "key-value cache");
  }

  /** Experts in a checkpoint whose configuration is of a dense model. */
  @Test
  void whatContradictsTheTensorsIsARemark() throws IOException {
    Path golden = Shipped.golden("mixtral");
    Files.copy(golden.resolve("model.safetensors"), folder.resolve("model.safetensors"));
    String config = Files.readString(golden.resolve("config.json"));
    Files.writeString(
        folder.resolve("config.json"),
        config.replace("\"mixtral\"", "\"llama\"").replace("_local_experts\"", "_ignored\""));
    CapturedRun run = CapturedRun.of("inspect", folder);
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains("mixture of experts (tensors of experts in 3 layers", "cannot run it, because ")
        .containsPattern(
            "remark +config.json is of a dense model, but there are tensors of experts");
    Map<?, ?> report = JsonTree.parse(CapturedRun.of("inspect", folder, "--json").out());
    assertThat((List<?>) report.get("remarks")).hasSize(1);
    assertThat((List<?>) report.get("obstacles")).hasSize(1);
    Files.writeString(folder.resolve("config.json"), "no JSON");
    run = CapturedRun.of("inspect", folder);
    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).contains("family", "unknown", "config.json cannot be read: ");
  }

  /** The layers of Qwen3-235B-A22B, in a file that takes no disk space. */
  @Test
  void aHundredGigabytesTakeLessThanASecond() throws IOException {
    long sizeBytes = writeLargeCheckpoint(23);
    assertThat(sizeBytes).isGreaterThan(100_000_000_000L);
    CapturedRun.of("inspect", Shipped.MODEL); // loads classes
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    // processor time instead of elapsed time, as other work may share the machine
    long begin = threads.getCurrentThreadCpuTime();
    CapturedRun run = CapturedRun.of("inspect", folder);
    double seconds = (threads.getCurrentThreadCpuTime() - begin) * 1e-9;
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).contains("0 to 22: 128 experts of 36.0 MiB, 8 per token");
    assertThat(seconds).isLessThan(1);
  }

  @Test
  void badInputIsOneLine() throws IOException {
    Files.writeString(folder.resolve("model.safetensors"), "not a checkpoint");
    for (Path path :
        List.of(folder, folder.resolve("absent"), folder.resolve("model.safetensors"))) {
      CapturedRun run = CapturedRun.of("inspect", path);
      assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
      assertThat(run.out()).isEmpty();
      assertThat(run.err()).startsWith("winnow: " + path).contains("expected", "found");
      assertThat(run.err().lines()).hasSize(1);
    }
    assertThat(CapturedRun.of("inspect").exitCode()).isEqualTo(ExitCode.USAGE);
  }

  private long writeLargeCheckpoint(int layers) throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        """
        {"model_type": "qwen3_moe", "hidden_size": 4096, "num_hidden_layers": %d, "num_attention_heads": 64, "num_key_value_heads": 4,
         "head_dim": 128,
         "intermediate_size": 12288, "moe_intermediate_size": 1536, "num_experts": 128,
         "num_experts_per_tok": 8, "norm_topk_prob": true,
         "vocab_size": 151936, "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0,
         "hidden_act": "silu",
         "decoder_sparse_step": 1, "mlp_only_layers": [], "tie_word_embeddings": false}"""
            .formatted(layers));
    StringBuilder header = new StringBuilder("{");
    long offset = add(header, 0, "model.embed_tokens.weight", 151936, 4096);
    for (int layer = 0; layer < layers; layer++) {
      String prefix = "model.layers." + layer + ".";
      offset = add(header, offset, prefix + "self_attn.q_proj.weight", 8192, 4096);
      offset = add(header, offset, prefix + "self_attn.k_proj.weight", 512, 4096);
      offset = add(header, offset, prefix + "self_attn.v_proj.weight", 512, 4096);
      offset = add(header, offset, prefix + "self_attn.o_proj.weight", 4096, 8192);
      offset = add(header, offset, prefix + "self_attn.q_norm.weight", 128);
      offset = add(header, offset, prefix + "self_attn.k_norm.weight", 128);
      offset = add(header, offset, prefix + "input_layernorm.weight", 4096);
      offset = add(header, offset, prefix + "post_attention_layernorm.weight", 4096);
      offset = add(header, offset, prefix + "mlp.gate.weight", 128, 4096);
      for (int expert = 0; expert < 128; expert++) {
        offset =
            add(header, offset, prefix + "mlp.experts." + expert + ".gate_proj.weight", 1536, 4096);
        offset =
            add(header, offset, prefix + "mlp.experts." + expert + ".up_proj.weight", 1536, 4096);
        offset =
            add(header, offset, prefix + "mlp.experts." + expert + ".down_proj.weight", 4096, 1536);
      }
    }
    offset = add(header, offset, "model.norm.weight", 4096);
    offset = add(header, offset, "lm_head.weight", 151936, 4096);
    byte[] bytes = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    try (RandomAccessFile file =
        new RandomAccessFile(folder.resolve("model.safetensors").toFile(), "rw")) {
      file.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(bytes.length).array());
      file.write(bytes);
      file.setLength(8 + bytes.length + offset);
    }
    return offset;
  }

  private static long add(StringBuilder header, long offset, String name, long... shape) {
    StringBuilder dims = new StringBuilder();
    long size = 1;
    for (long extent : shape) {
      size *= extent;
      dims.append(dims.length() == 0 ? "" : ",").append(extent);
    }
    long end = offset + 2 * size;
    header
        .append(header.length() == 1 ? "" : ",")
        .append('"')
        .append(name)
        .append("\":{\"dtype\":\"BF16\",\"shape\":[")
        .append(dims)
        .append("],\"data_offsets\":[")
        .append(offset)
        .append(',')
        .append(end)
        .append("]}");
    return end;
  }
}
