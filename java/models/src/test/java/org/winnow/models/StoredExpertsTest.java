package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.CheckpointException;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.ExpertCounters;
import org.winnow.memory.ExpertStore;

/** Experts in every layout that checkpoints use compute the same bits as in the family's own. */
class StoredExpertsTest {
  private static final int[] IDS = {5, 77, 301, 12, 490, 3, 3, 260, 111, 9};

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    // family, its module, the module of the copy, layout, names
    "mixtral, block_sparse_moe, mlp, fused, experts.gate_up_proj, experts.down_proj",
    "mixtral, block_sparse_moe, block_sparse_moe, fused, input_linear.weight, output_linear.weight",
    "mixtral, block_sparse_moe, mlp, each, gate_proj up_proj, down_proj",
    "mixtral, block_sparse_moe, feed_forward, each, w1 w3, w2",
    "olmoe, mlp, mlp, fused, experts.gate_up_proj.weight, experts.down_proj.weight",
    "olmoe, mlp, mlp, stacked, switch_mlp.gate_proj.weight switch_mlp.up_proj.weight, switch_mlp.down_proj.weight",
    "olmoe, mlp, block_sparse_moe, each, w1 w3, w2",
    "mixtral, block_sparse_moe, block_sparse_moe, stacked, experts.w1 experts.w3, experts.w2",
    "olmoe, mlp, feed_forward, stacked, experts.w1.weight experts.w3.weight, experts.w2.weight",
    "qwen2_moe, mlp, mlp, fused, experts.gate_up_proj, experts.down_proj",
    "qwen2_moe, mlp, mlp, stacked, experts.gate_proj experts.up_proj, experts.down_proj",
    "qwen2_moe, mlp, mlp, each, w1 w3, w2",
    "qwen3_moe, mlp, mlp, fused, experts.gate_up_proj, experts.down_proj",
    "qwen3_moe, mlp, mlp, fused, experts.input_linear, experts.output_linear",
    "qwen3_moe, mlp, moe, stacked, gate_proj.weight up_proj.weight, down_proj.weight",
    "qwen3_moe, mlp, mlp, stacked, experts.gate_proj.weight experts.up_proj.weight, experts.down_proj.weight",
    "deepseek_v3, mlp, mlp, fused, experts.gate_up_proj, experts.down_proj",
    "deepseek_v3, mlp, mlp, stacked, gate_proj up_proj, down_proj",
    "deepseek_v3, mlp, mlp, each, w1 w3, w2"
  })
  void computesTheSameBits(
      String family, String module, String newModule, String layout, String gateAndUp, String down)
      throws IOException {
    String[] input = gateAndUp.split(" ");
    TensorFile file = read(family);
    boolean letters = family.equals("mixtral");
    for (String layer : layers(file, module + ".experts.0.")) {
      String from = layer + module + ".";
      String to = layer + newModule + ".";
      String each = from + "experts.%d.";
      List<TensorFile.Stored> gates = take(file, each + (letters ? "w1" : "gate_proj") + ".weight");
      List<TensorFile.Stored> ups = take(file, each + (letters ? "w3" : "up_proj") + ".weight");
      List<TensorFile.Stored> downs = take(file, each + (letters ? "w2" : "down_proj") + ".weight");
      rename(file, from, to);
      switch (layout) {
        case "each" -> {
          put(file, expert -> to + "experts." + expert + "." + input[0] + ".weight", gates);
          put(file, expert -> to + "experts." + expert + "." + input[1] + ".weight", ups);
          put(file, expert -> to + "experts." + expert + "." + down + ".weight", downs);
        }
        case "stacked" -> {
          file.tensors.put(to + input[0], stack(gates));
          file.tensors.put(to + input[1], stack(ups));
          file.tensors.put(to + down, stack(downs));
        }
        default -> {
          file.tensors.put(to + input[0], stackPairs(gates, ups));
          file.tensors.put(to + down, stack(downs));
        }
      }
    }
    write(family, file);
    assertThat(logits(folder)).isEqualTo(logits(Goldens.folder(family)));
  }

  /** The de-interleaved forms of gpt-oss: one tensor per expert, or a stack per matrix. */
  @ParameterizedTest
  @CsvSource({"each", "stacked", "stacked.weight"})
  void computesTheSameBitsOfGptOss(String layout) throws IOException {
    TensorFile file = read("gpt_oss");
    for (String layer : layers(file, "mlp.experts.gate_up_proj")) {
      String experts = layer + "mlp.experts.";
      TensorFile.Stored gateUp = file.tensors.remove(experts + "gate_up_proj");
      TensorFile.Stored bias = file.tensors.remove(experts + "gate_up_proj_bias");
      TensorFile.Stored down = file.tensors.remove(experts + "down_proj");
      TensorFile.Stored downBias = file.tensors.remove(experts + "down_proj_bias");
      int numExperts = (int) gateUp.shape()[0];
      int width = (int) down.shape()[1];
      int hidden = (int) down.shape()[2];
      List<List<TensorFile.Stored>> parts = new ArrayList<>();
      for (int i = 0; i < 6; i++) parts.add(new ArrayList<>());
      for (int expert = 0; expert < numExperts; expert++) {
        int e = expert;
        for (int odd = 0; odd < 2; odd++) {
          int o = odd;
          parts
              .get(odd)
              .add(
                  matrix(
                      width,
                      hidden,
                      (f, d) -> at(gateUp, ((long) e * hidden + d) * 2 * width + 2 * f + o)));
          parts
              .get(3 + odd)
              .add(matrix(width, 0, (f, d) -> at(bias, (long) e * 2 * width + 2 * f + o)));
        }
        parts
            .get(2)
            .add(matrix(hidden, width, (d, f) -> at(down, ((long) e * width + f) * hidden + d)));
        parts.get(5).add(matrix(hidden, 0, (d, f) -> at(downBias, (long) e * hidden + d)));
      }
      String[] names = {"gate_proj", "up_proj", "down_proj"};
      for (int i = 0; i < 6; i++) {
        String name = names[i % 3];
        boolean weight = i < 3;
        String suffix =
            layout.equals("stacked") ? (weight ? "" : "_bias") : weight ? ".weight" : ".bias";
        if (layout.equals("each"))
          put(file, expert -> experts + expert + "." + name + suffix, parts.get(i));
        else file.tensors.put(experts + name + suffix, stack(parts.get(i)));
      }
    }
    write("gpt_oss", file);
    assertThat(logits(folder)).isEqualTo(logits(Goldens.folder("gpt_oss")));
  }

  @Test
  void onlyTheBytesOfChosenExpertsAreRead() throws IOException {
    TensorFile file = read("qwen3_moe");
    for (String layer : layers(file, "mlp.experts.0.")) {
      String each = layer + "mlp.experts.%d.";
      List<TensorFile.Stored> gates = take(file, each + "gate_proj.weight");
      file.tensors.put(
          layer + "mlp.experts.gate_up_proj",
          stackPairs(gates, take(file, each + "up_proj.weight")));
      file.tensors.put(
          layer + "mlp.experts.down_proj", stack(take(file, each + "down_proj.weight")));
    }
    write("qwen3_moe", file);
    try (CpuBackend cpu = new CpuBackend(InstructionSet.best(), 1);
        DecoderPlan plan = DecoderPlan.of(folder, cpu)) {
      ExpertStore store = plan.experts();
      long bytes = 3 * 48 * 64 * 4;
      for (int expert = 0; expert < 16; expert++) {
        assertThat(store.storedBytes(1, expert)).isEqualTo(bytes);
        // two ranges, each rounded outward to blocks of 4096 bytes at both ends
        assertThat(store.readBytes(1, expert)).isBetween(bytes, bytes + 4 * 4096);
      }
    }
    try (LanguageModel model = LanguageModel.open(folder, LoadOptions.defaults())) {
      model.forward(new int[] {5}, 0, new ForwardListener() {});
      ExpertCounters counters = model.expertCounters();
      assertThat(counters.distinctExperts()).isEqualTo(3 * 4); // 3 layers, 4 experts each
      assertThat(counters.demandBytesRead() / counters.misses())
          .isLessThanOrEqualTo(3 * 48 * 64 * 4 + 4 * 4096);
    }
  }

  /** The shape [E, d, 2f] of other families fits no layout of this one; it is not guessed. */
  @Test
  void aTransposedStackIsRefusedByName() throws IOException {
    TensorFile file = read("qwen3_moe");
    for (String layer : layers(file, "mlp.experts.0.")) {
      String each = layer + "mlp.experts.%d.";
      List<TensorFile.Stored> gates = take(file, each + "gate_proj.weight");
      TensorFile.Stored fused = stackPairs(gates, take(file, each + "up_proj.weight"));
      file.tensors.put(
          layer + "mlp.experts.gate_up_proj",
          new TensorFile.Stored("F32", new long[] {16, 64, 96}, fused.bytes()));
      file.tensors.put(
          layer + "mlp.experts.down_proj", stack(take(file, each + "down_proj.weight")));
    }
    write("qwen3_moe", file);
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(
            "model.layers.0.mlp.experts.gate_up_proj: expected shape [16, 96, 64], of experts, outputs, inputs, found [16, 64, 96], each expert's matrix transposed");
  }

  @Test
  void twoLayoutsInOneLayerAreRefused() throws IOException {
    TensorFile file = read("qwen3_moe");
    file.tensors.put(
        "model.layers.1.mlp.experts.down_proj",
        stack(take(read("qwen3_moe"), "model.layers.1.mlp.experts.%d.down_proj.weight")));
    write("qwen3_moe", file);
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("model.layers.1.mlp.experts.down_proj: expected only tensors of");
  }

  private static TensorFile read(String family) {
    return TensorFile.read(Goldens.folder(family).resolve("model.safetensors"));
  }

  private void write(String family, TensorFile file) throws IOException {
    file.write(folder.resolve("model.safetensors"));
    Files.copy(Goldens.folder(family).resolve("config.json"), folder.resolve("config.json"));
  }

  /** Prefixes of the layers that have a tensor of a name that begins like this. */
  private static List<String> layers(TensorFile file, String marker) {
    List<String> layers = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      String layer = "model.layers." + i + ".";
      if (file.tensors.keySet().stream().anyMatch(name -> name.startsWith(layer + marker)))
        layers.add(layer);
    }
    assertThat(layers).isNotEmpty();
    return layers;
  }

  private static List<TensorFile.Stored> take(TensorFile file, String format) {
    List<TensorFile.Stored> taken = new ArrayList<>();
    for (TensorFile.Stored one;
        (one = file.tensors.remove(String.format(format, taken.size()))) != null; ) taken.add(one);
    return taken;
  }

  private static void put(
      TensorFile file, IntFunction<String> name, List<TensorFile.Stored> tensors) {
    for (int i = 0; i < tensors.size(); i++) file.tensors.put(name.apply(i), tensors.get(i));
  }

  private static void rename(TensorFile file, String from, String to) {
    for (String name : List.copyOf(file.tensors.keySet()))
      if (name.startsWith(from) && !from.equals(to))
        file.tensors.put(to + name.substring(from.length()), file.tensors.remove(name));
  }

  private static TensorFile.Stored stack(List<TensorFile.Stored> tensors) {
    long[] shape = tensors.get(0).shape();
    long[] stacked = new long[shape.length + 1];
    stacked[0] = tensors.size();
    System.arraycopy(shape, 0, stacked, 1, shape.length);
    ByteBuffer bytes = ByteBuffer.allocate(tensors.size() * tensors.get(0).bytes().length);
    tensors.forEach(tensor -> bytes.put(tensor.bytes()));
    return new TensorFile.Stored("F32", stacked, bytes.array());
  }

  /** [E, 2f, d] from the gates and ups of all experts. */
  private static TensorFile.Stored stackPairs(
      List<TensorFile.Stored> gates, List<TensorFile.Stored> ups) {
    List<TensorFile.Stored> pairs = new ArrayList<>();
    for (int i = 0; i < gates.size(); i++) {
      TensorFile.Stored both = stack(List.of(gates.get(i), ups.get(i)));
      long[] shape = gates.get(i).shape();
      pairs.add(new TensorFile.Stored("F32", new long[] {2 * shape[0], shape[1]}, both.bytes()));
    }
    return stack(pairs);
  }

  private interface Element {
    float at(int row, int column);
  }

  private static float at(TensorFile.Stored tensor, long index) {
    return ByteBuffer.wrap(tensor.bytes())
        .order(ByteOrder.LITTLE_ENDIAN)
        .getFloat((int) (4 * index));
  }

  /** A matrix, or a vector if it has no columns. */
  private static TensorFile.Stored matrix(int rows, int columns, Element element) {
    int width = Math.max(columns, 1);
    ByteBuffer bytes = ByteBuffer.allocate(4 * rows * width).order(ByteOrder.LITTLE_ENDIAN);
    for (int row = 0; row < rows; row++)
      for (int column = 0; column < width; column++) bytes.putFloat(element.at(row, column));
    long[] shape = columns == 0 ? new long[] {rows} : new long[] {rows, columns};
    return new TensorFile.Stored("F32", shape, bytes.array());
  }

  static float[] logits(Path model) {
    float[][] result = new float[1][];
    try (LanguageModel opened = LanguageModel.open(model, LoadOptions.defaults())) {
      opened.forward(
          IDS,
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
}
