package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.Tensor;

/**
 * A checkpoint with 16-bit weights, in shards, with older spellings in its configuration, computes
 * the same as one with the same rounded values in f32.
 */
class StoredTypesTest {
  private static final int[] IDS = {5, 77, 301, 12, 490, 3, 3, 260, 111, 9};

  private static final LoadOptions IN_F32 = LoadOptions.defaults().withActivations(DType.F32);

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "deepseek_v3, BF16, 1",
    "gpt_oss, BF16, 3",
    "llama, BF16, 2",
    "mixtral, F16, 1",
    "olmoe, F16, 5",
    "qwen2_moe, BF16, 3",
    "qwen3_moe, F16, 2",
    "gpt_oss, F16, 1",
    "deepseek_v3, F16, 4"
  })
  void rounded(String family, String type, int numShards) throws IOException {
    compare(family, type, numShards, name -> true);
  }

  @ParameterizedTest
  @CsvSource({"deepseek_v3, BF16", "gpt_oss, F16", "qwen2_moe, BF16"})
  void mixed(String family, String type) throws IOException {
    compare(
        family,
        type,
        2,
        name -> name.contains("expert") || name.contains("q_proj") || name.contains("norm"));
  }

  private void compare(String family, String type, int numShards, Predicate<String> rounded)
      throws IOException {
    Path sixteen = Files.createDirectory(folder.resolve("sixteen"));
    Path thirtyTwo = Files.createDirectory(folder.resolve("thirtyTwo"));
    for (Path copy : List.of(sixteen, thirtyTwo)) {
      TensorFile checkpoint = TensorFile.read(Goldens.folder(family).resolve("model.safetensors"));
      checkpoint.map(
          rounded, tensor -> copy == sixteen ? tensor.to(type) : tensor.to(type).to("F32"));
      if (copy == thirtyTwo) checkpoint.write(copy.resolve("model.safetensors"));
      else if (numShards == 1) checkpoint.write(copy.resolve("model.safetensors"));
      else checkpoint.writeShards(copy, numShards);
      String config = Files.readString(Goldens.folder(family).resolve("config.json"));
      Files.writeString(
          copy.resolve("config.json"), copy == sixteen ? oldSpelling(config) : config);
    }
    float[] expected = logits(thirtyTwo);
    float[] found = logits(sixteen);
    float largest = 0;
    for (float value : expected) largest = Math.max(largest, Math.abs(value));
    for (int i = 0; i < expected.length; i++) {
      // Widening is exact, so only the order of sums may differ between kernels of two types. The
      // tolerance is that of the goldens.
      assertThat((double) Math.abs(expected[i] - found[i]))
          .as(family + " logit " + i + ": " + expected[i] + " and " + found[i])
          .isLessThanOrEqualTo(5e-6 * largest);
    }
    assertThat(greedy(sixteen)).isEqualTo(greedy(thirtyTwo));
  }

  /**
   * Replaces {@code rope_parameters} by {@code rope_theta} and {@code rope_scaling}, and {@code
   * num_local_experts} by {@code num_experts}.
   */
  private static String oldSpelling(String config) {
    int begin = config.indexOf("\"rope_parameters\"");
    int end = config.indexOf('}', begin) + 1;
    String parameters = config.substring(begin, end);
    String theta = parameters.replaceAll("(?s).*(\"rope_theta\": [0-9.]+).*", "$1");
    String scaling =
        parameters.contains("yarn")
            ? parameters
                .replace("rope_parameters", "rope_scaling")
                .replaceAll("\\s*\"rope_theta\": [0-9.]+,", "")
            : "\"rope_scaling\": null";
    return config.substring(0, begin)
        + theta
        + ", "
        + scaling
        + config
            .substring(end)
            .replace("\"num_local_experts\"", "\"num_experts\"")
            .replace("\"dtype\"", "\"torch_dtype\"");
  }

  private static float[] logits(Path model) {
    List<float[]> parts = new ArrayList<>();
    try (LanguageModel opened = LanguageModel.open(model, IN_F32)) {
      opened.forward(
          IDS,
          0,
          new ForwardListener() {
            @Override
            public void onLogits(int firstPosition, Tensor logits) {
              parts.add(logits.toFloatArray());
            }
          });
    }
    assertThat(parts).hasSize(1);
    return parts.get(0);
  }

  private static int[] greedy(Path model) {
    try (LanguageModel opened = LanguageModel.open(model, IN_F32)) {
      return opened
          .generate(IDS, GenerateOptions.greedy(8).withStopIds(Set.of()), TokenListener.NONE)
          .ids();
    }
  }
}
