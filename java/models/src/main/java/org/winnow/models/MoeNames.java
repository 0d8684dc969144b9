package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import org.winnow.models.ExpertTensors.Layout;

/**
 * Finds the names of a layer's router and experts. The layouts that are known have a meaning that
 * follows from their names. None is guessed from sizes: a tensor with another shape is refused.
 */
final class MoeNames {
  private static final String[] MODULES = {"mlp", "block_sparse_moe", "feed_forward", "moe"};
  private static final String[] SUFFIXES = {"", ".weight"};

  private final DecoderNames names;
  private final String module;

  /**
   * @param layer such as {@code model.layers.3}
   * @param usual name of the module in checkpoints of the family
   */
  MoeNames(DecoderNames names, String layer, String usual) {
    this.names = names;
    String found = layer + "." + usual;
    for (String candidate : MODULES)
      if (!names.hasAny(found + ".") && names.hasAny(layer + "." + candidate + "."))
        found = layer + "." + candidate;
    module = found;
  }

  /** The module that holds router and experts, such as {@code model.layers.3.mlp}. */
  String module() {
    return module;
  }

  /** The router, without {@code .weight}. */
  String router(String usual) {
    for (String candidate : new String[] {usual, "gate", "router", "router.layer"})
      if (names.has(module + "." + candidate + ".weight")) return module + "." + candidate;
    return module + "." + usual;
  }

  /** The correction bias of the router of that name. */
  String correctionBias(String router) {
    String own = module + ".e_score_correction_bias";
    return names.has(own) ? own : router + ".e_score_correction_bias";
  }

  /** The experts of families without biases. If none are found, the family's usual names. */
  ExpertTensors experts(ExpertTensors usual) {
    List<ExpertTensors> candidates = new ArrayList<>(List.of(usual));
    candidates.add(separate("gate_proj", "up_proj", "down_proj"));
    candidates.add(separate("w1", "w3", "w2"));
    for (String stack : stacks()) {
      for (String suffix : SUFFIXES) {
        candidates.add(fused(stack + "gate_up_proj" + suffix, stack + "down_proj" + suffix));
        candidates.add(fused(stack + "input_linear" + suffix, stack + "output_linear" + suffix));
        candidates.add(stacked(stack, suffix));
        candidates.add(
            ExpertTensors.of(
                Layout.STACKED,
                stack + "w1" + suffix,
                stack + "w3" + suffix,
                stack + "w2" + suffix));
      }
    }
    return candidates.stream().filter(this::isThere).findFirst().orElse(usual);
  }

  /** The experts of gpt-oss, whose fused tensors are interleaved, and all of which have biases. */
  ExpertTensors interleavedExperts() {
    String experts = module + ".experts.";
    ExpertTensors usual =
        ExpertTensors.of(
                Layout.INTERLEAVED,
                experts + "gate_up_proj",
                experts + "gate_up_proj",
                experts + "down_proj")
            .withBiases(
                experts + "gate_up_proj_bias",
                experts + "gate_up_proj_bias",
                experts + "down_proj_bias");
    List<ExpertTensors> candidates = new ArrayList<>(List.of(usual));
    String each = experts + "*.";
    candidates.add(
        separate("gate_proj", "up_proj", "down_proj")
            .withBiases(each + "gate_proj.bias", each + "up_proj.bias", each + "down_proj.bias"));
    for (String stack : stacks()) {
      candidates.add(
          stacked(stack, ".weight")
              .withBiases(
                  stack + "gate_proj.bias", stack + "up_proj.bias", stack + "down_proj.bias"));
      candidates.add(
          stacked(stack, "")
              .withBiases(
                  stack + "gate_proj_bias", stack + "up_proj_bias", stack + "down_proj_bias"));
    }
    return candidates.stream().filter(this::isThere).findFirst().orElse(usual);
  }

  /** One tensor per expert and matrix. The arguments are the names of the three matrices. */
  ExpertTensors separate(String gate, String up, String down) {
    String each = module + ".experts.*.";
    return ExpertTensors.of(
        Layout.SEPARATE, each + gate + ".weight", each + up + ".weight", each + down + ".weight");
  }

  private static ExpertTensors stacked(String stack, String suffix) {
    return ExpertTensors.of(
        Layout.STACKED,
        stack + "gate_proj" + suffix,
        stack + "up_proj" + suffix,
        stack + "down_proj" + suffix);
  }

  private static ExpertTensors fused(String gateUp, String down) {
    return ExpertTensors.of(Layout.GATE_FIRST, gateUp, gateUp, down);
  }

  /** Where stacked tensors lie. The last one is the place of dense layers' matrices too. */
  private String[] stacks() {
    return new String[] {module + ".experts.", module + ".switch_mlp.", module + "."};
  }

  /** Whether the first expert's gate is there. A dense layer's matrix has two dimensions. */
  private boolean isThere(ExpertTensors tensors) {
    String gate = tensors.parts(0).get(0).tensor();
    boolean maybeDense =
        gate.equals(module + ".gate_proj.weight") || gate.equals(module + ".w1.weight");
    return maybeDense ? names.has(gate, 3) : names.has(gate);
  }
}
