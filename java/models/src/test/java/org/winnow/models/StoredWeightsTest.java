package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.memory.TensorInfo;

/** Each format as published, for a matrix of 64 outputs and 128 inputs. */
class StoredWeightsTest {
  private static final long WEIGHTS = 64 * 128;

  @TempDir Path folder;

  private void holds(String format, SafetensorsFile file, int bits, int groupSize) {
    List<TensorInfo> tensors = SafetensorsHeader.read(file.write(folder.resolve("a.safetensors")));
    StoredWeights stored = new StoredWeights(tensors, bits, groupSize);
    long weights = 0;
    for (TensorInfo tensor : tensors) {
      StoredWeights.Encoding encoding = stored.of(tensor);
      assertThat(encoding.name()).as(tensor.name()).isEqualTo(format);
      assertThat(encoding.quantised()).isTrue();
      weights += encoding.weights();
    }
    assertThat(weights).isEqualTo(WEIGHTS);
  }

  @Test
  void gptq() {
    SafetensorsFile file =
        new SafetensorsFile()
            .add("m.qweight", "I32", 128 / 8, 64)
            .add("m.qzeros", "I32", 1, 64 / 8)
            .add("m.scales", "F16", 1, 64)
            .add("m.g_idx", "I32", 128);
    holds("GPTQ", file, 0, 0);
    SafetensorsFile bytes =
        new SafetensorsFile()
            .add("m.qweight", "I32", 128 / 4, 64)
            .add("m.qzeros", "I32", 1, 64 / 4)
            .add("m.scales", "F16", 1, 64);
    holds("GPTQ", bytes, 0, 0);
  }

  @Test
  void awq() {
    SafetensorsFile file =
        new SafetensorsFile()
            .add("m.qweight", "I32", 128, 64 / 8)
            .add("m.qzeros", "I32", 1, 64 / 8)
            .add("m.scales", "F16", 1, 64);
    holds("AWQ", file, 0, 0);
  }

  @Test
  void compressedTensors() {
    SafetensorsFile file =
        new SafetensorsFile()
            .add("m.weight_packed", "I32", 64, 128 / 8)
            .add("m.weight_scale", "BF16", 64, 4)
            .add("m.weight_shape", "I64", 2);
    holds("compressed-tensors integers", file, 4, 0);
    holds(
        "compressed-tensors integers",
        new SafetensorsFile()
            .add("m.weight_packed", "I32", 64, 128 / 4)
            .add("m.weight_scale", "BF16", 64, 1),
        8,
        0);
  }

  @Test
  void nvfp4() {
    holds(
        "NVFP4",
        new SafetensorsFile()
            .add("m.weight_packed", "U8", 64, 64)
            .add("m.weight_scale", "F8_E4M3", 64, 8)
            .add("m.weight_global_scale", "F32", 1)
            .add("m.input_global_scale", "F32", 1),
        0,
        0);
    holds(
        "NVFP4",
        new SafetensorsFile()
            .add("m.weight", "U8", 64, 64)
            .add("m.weight_scale", "F8_E4M3", 64, 8)
            .add("m.weight_scale_2", "F32")
            .add("m.input_scale", "F32"),
        0,
        0);
  }

  @Test
  void mxfp4() {
    holds(
        "MXFP4",
        new SafetensorsFile()
            .add("experts.down_proj_blocks", "U8", 8, 8, 4, 16)
            .add("experts.down_proj_scales", "U8", 8, 8, 4),
        0,
        0);
    holds(
        "MXFP4",
        new SafetensorsFile().add("m.weight", "I8", 64, 64).add("m.scale", "F8_E8M0", 64, 4),
        0,
        0);
    holds(
        "MXFP4",
        new SafetensorsFile()
            .add("m.weight_packed", "U8", 64, 64)
            .add("m.weight_scale", "U8", 64, 4),
        0,
        0);
  }

  @Test
  void bitsandbytes() {
    holds(
        "bitsandbytes NF4",
        new SafetensorsFile()
            .add("m.weight", "U8", WEIGHTS / 2, 1)
            .add("m.weight.absmax", "U8", WEIGHTS / 64)
            .add("m.weight.quant_map", "F32", 16)
            .add("m.weight.nested_absmax", "F32", 1)
            .add("m.weight.quant_state.bitsandbytes__nf4", "U8", 200),
        0,
        0);
    holds(
        "bitsandbytes INT8",
        new SafetensorsFile()
            .add("m.weight", "I8", 64, 128)
            .add("m.SCB", "F32", 64)
            .add("m.weight_format", "U8"),
        0,
        0);
  }

  @Test
  void mlx() {
    for (String words : List.of("U32", "I32")) { // of programs that have no unsigned integers
      SafetensorsFile file =
          new SafetensorsFile()
              .add("m.weight", words, 64, 128 / 8)
              .add("m.scales", "BF16", 64, 2)
              .add("m.biases", "BF16", 64, 2);
      holds("MLX", file, 4, 64);
    }
  }

  /** Scales count as none, and every type keeps its own name. */
  @Test
  void fp8() {
    SafetensorsFile file =
        new SafetensorsFile()
            .add("m.weight", "F8_E4M3", 64, 128)
            .add("m.weight_scale_inv", "F32", 1, 1)
            .add("n.scale", "F8_E8M0", 1, 1)
            .add("n.weight", "F8_E4M3", 2, 2)
            .add("experts.up_proj", "F8_E4M3", 2, 2, 2)
            .add("experts.up_proj_scale", "F32", 2, 1, 2)
            .add("norm.scale", "F32", 5);
    List<TensorInfo> tensors = SafetensorsHeader.read(file.write(folder.resolve("a.safetensors")));
    StoredWeights stored = new StoredWeights(tensors, 0, 0);
    assertThat(tensors.stream().map(stored::of))
        .containsExactly(
            new StoredWeights.Encoding("F8_E4M3", WEIGHTS, false),
            new StoredWeights.Encoding("F32", 0, false),
            new StoredWeights.Encoding("F8_E8M0", 0, false),
            new StoredWeights.Encoding("F8_E4M3", 4, false),
            new StoredWeights.Encoding("F8_E4M3", 8, false),
            new StoredWeights.Encoding("F32", 0, false),
            new StoredWeights.Encoding("F32", 5, false));
  }

  /** Sizes near 2^63 neither overflow nor divide by zero. */
  @Test
  void countsOfAnySize() {
    List<TensorInfo> tensors =
        List.of(
            packed("m.qweight", "I32", Long.MAX_VALUE / 4, 0),
            packed("m.qzeros", "I32", 4, Long.MAX_VALUE / 16),
            packed("m.scales", "F16", 0, 0),
            packed("n.weight", "U32", Long.MAX_VALUE / 4, 1),
            packed("n.scales", "F16", Long.MAX_VALUE / 2, 1),
            packed("o_blocks", "U8", Long.MAX_VALUE, 1));
    for (int bits : new int[] {0, 1, 3, 64, Integer.MAX_VALUE}) {
      StoredWeights stored = new StoredWeights(tensors, bits, Integer.MAX_VALUE);
      for (TensorInfo tensor : tensors) assertThat(stored.of(tensor).weights()).isNotNegative();
    }
    assertThat(Saturated.times(1L << 62, 2)).isEqualTo(Long.MAX_VALUE);
    assertThat(Saturated.plus(Long.MAX_VALUE, 1)).isEqualTo(Long.MAX_VALUE);
    assertThat(Saturated.times(3, 5)).isEqualTo(15);
  }

  private static TensorInfo packed(String name, String type, long rows, long columns) {
    return new TensorInfo(name, type, null, new long[] {rows, columns}, Path.of("a"), 0, 0);
  }
}
