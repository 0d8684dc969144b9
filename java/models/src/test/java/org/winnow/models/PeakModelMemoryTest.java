package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.Float16;
import org.winnow.Tensor;
import org.winnow.memory.TensorInfo;

/**
 * The peak memory of a model, loading included, with an expert budget of 10 %. The layers have the
 * shapes of Qwen3-30B-A3B and 4.8 GB of experts. The model runs in a separate JVM. Of most weights
 * only the first bytes are random and the rest is a hole in the file; routers, norms and the
 * embedding are random throughout.
 */
@Tag("slow")
class PeakModelMemoryTest {
  private static final int LAYERS = 4;
  private static final int HIDDEN = 2048;
  private static final int VOCABULARY = 4096;
  private static final String CONFIG =
      """
      {"model_type": "qwen3_moe", "vocab_size": %d, "hidden_size": %d, "num_hidden_layers": %d, "num_attention_heads": 32, "num_key_value_heads": 4,
       "head_dim": 128, "num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 768, "intermediate_size": 6144, "norm_topk_prob": true,
       "max_position_embeddings": 40960, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "hidden_act": "silu", "tie_word_embeddings": true}
      """
          .formatted(VOCABULARY, HIDDEN, LAYERS);

  @TempDir Path folder;

  @Test
  void peaksAtBudgetPlusWhatIsNotExperts() throws Exception {
    long restBytes = write();
    Map<String, Long> tenth = run(10);
    Map<String, Long> third = run(33);
    assertThat(tenth.get("expertBytes")).as(tenth.toString()).isGreaterThan(4L << 30);
    assertThat(tenth.get("peakBytes"))
        .as(tenth + ", rest " + restBytes)
        .isLessThanOrEqualTo(restBytes + tenth.get("expertBytes") / 10 + (256 << 20));
    assertThat(third.get("peakBytes"))
        .as(third + ", rest " + restBytes)
        .isLessThanOrEqualTo(restBytes + third.get("expertBytes") / 3 + (256 << 20));
    // Far more bytes were read than were in memory at any time.
    assertThat(tenth.get("bytesRead"))
        .as(tenth.toString())
        .isGreaterThan(2 * tenth.get("peakBytes"));
    assertThat(third.get("output")).isEqualTo(tenth.get("output"));
  }

  /** Writes the model and returns the bytes of everything except the experts. */
  private long write() throws IOException {
    Files.writeString(folder.resolve("config.json"), CONFIG);
    SafetensorsFile file =
        new SafetensorsFile()
            .add("model.embed_tokens.weight", "BF16", VOCABULARY, HIDDEN)
            .add("model.norm.weight", "BF16", HIDDEN);
    for (int i = 0; i < LAYERS; i++) {
      String layer = "model.layers." + i + ".";
      file.add(layer + "input_layernorm.weight", "BF16", HIDDEN)
          .add(layer + "post_attention_layernorm.weight", "BF16", HIDDEN)
          .add(layer + "self_attn.q_norm.weight", "BF16", 128)
          .add(layer + "self_attn.k_norm.weight", "BF16", 128)
          .add(layer + "self_attn.q_proj.weight", "BF16", 4096, HIDDEN)
          .add(layer + "self_attn.k_proj.weight", "BF16", 512, HIDDEN)
          .add(layer + "self_attn.v_proj.weight", "BF16", 512, HIDDEN)
          .add(layer + "self_attn.o_proj.weight", "BF16", HIDDEN, 4096)
          .add(layer + "mlp.gate.weight", "BF16", 128, HIDDEN);
      for (int e = 0; e < 128; e++) {
        String expert = layer + "mlp.experts." + e;
        file.add(expert + ".down_proj.weight", "BF16", HIDDEN, 768)
            .add(expert + ".gate_proj.weight", "BF16", 768, HIDDEN)
            .add(expert + ".up_proj.weight", "BF16", 768, HIDDEN);
      }
    }
    Path weights = file.write(folder.resolve("model.safetensors"));
    Random random = new Random(1);
    long restBytes = 0;
    try (FileChannel channel = FileChannel.open(weights, StandardOpenOption.WRITE)) {
      for (TensorInfo tensor : Safetensors.tensors(weights)) {
        boolean whole =
            tensor.name().contains("gate.weight")
                || tensor.name().contains("embed")
                || tensor.name().contains("norm");
        ByteBuffer values =
            ByteBuffer.allocate(whole ? (int) tensor.sizeBytes() : 4096)
                .order(ByteOrder.LITTLE_ENDIAN);
        while (values.hasRemaining())
          values.putShort(Float16.toBf16(0.1f * (float) random.nextGaussian()));
        channel.write(values.flip(), tensor.offset());
        if (!tensor.name().contains(".experts.")) restBytes += tensor.sizeBytes();
      }
    }
    return restBytes;
  }

  private Map<String, Long> run(int percent) throws IOException, InterruptedException {
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    classPath,
                    PeakModelMemoryTest.class.getName(),
                    folder.toString(),
                    Integer.toString(percent)))
            .redirectErrorStream(true)
            .start();
    List<String> lines = process.inputReader().lines().toList();
    assertThat(process.waitFor(300, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(String.join("\n", lines)).isZero();
    Map<String, Long> values = new HashMap<>();
    for (String line : lines) {
      int equals = line.indexOf('=');
      if (equals > 0)
        values.put(line.substring(0, equals), Long.parseLong(line.substring(equals + 1)));
    }
    return values;
  }

  /** What the separate JVM runs: logits of 64 tokens, then 4 tokens one by one. */
  public static void main(String[] args) throws IOException {
    LoadOptions options =
        LoadOptions.defaults().withBudget(ExpertBudget.ofShare(Integer.parseInt(args[1]) / 100.0));
    try (LanguageModel model = LanguageModel.open(Path.of(args[0]), options)) {
      int[] prompt = new Random(7).ints(64, 0, VOCABULARY).toArray();
      long[] output = {1};
      model.forward(
          prompt,
          0,
          new ForwardListener() {
            @Override
            public void onLogits(int firstPosition, Tensor logits) {
              output[0] = 31 * output[0] + Arrays.hashCode(logits.toFloatArray());
            }
          });
      int[] ids =
          model
              .generate(prompt, GenerateOptions.greedy(4).withStopIds(Set.of()), TokenListener.NONE)
              .ids();
      System.out.println("output=" + (31 * output[0] + Arrays.hashCode(ids)));
      System.out.println("expertBytes=" + model.expertBytes());
      System.out.println("bytesRead=" + model.expertCounters().demandBytesRead());
    }
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:"))
        System.out.println("peakBytes=" + 1024 * Long.parseLong(line.replaceAll("[^0-9]", "")));
    }
  }
}
