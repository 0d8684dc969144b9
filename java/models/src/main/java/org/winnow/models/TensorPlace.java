package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * A tensor's place in a model, derived from its name alone, for all families: {@code
 * model.layers.3.mlp.experts.7.up_proj.weight} belongs to expert 7 in layer 3 of {@code
 * model.layers}. Names are scanned without regular expressions because a report reads tens of
 * thousands of them.
 *
 * @param stack the part of the name before the layer's number: {@code "model.layers"}, {@code
 *     "encoder.block"}, {@code "visual.blocks"}; empty if the tensor belongs to no layer
 * @param layer number of the layer, or {@link #NONE}
 * @param expert number of the routed expert, {@link #ALL} or {@link #NONE}
 * @param furtherTokens whether the tensor belongs to modules that predict tokens after the next one
 */
record TensorPlace(String stack, int layer, int expert, boolean furtherTokens) {
  /** The tensor belongs to no layer or to no expert. */
  static final int NONE = -1;

  /** The tensor holds all experts of a layer. */
  static final int ALL = -2;

  private static final int MAX_DIGITS = 6;
  private static final Set<String> CONTAINERS =
      Set.of("experts", "deepspeed_experts", "local_experts");
  private static final Set<String> STACKED = Set.of("switch_mlp", "switch_glu"); // MLX
  private static final Set<String> MATRICES =
      Set.of("gate_proj", "up_proj", "down_proj", "gate_up_proj");

  /** What only a layer that predicts further tokens has. */
  static final List<String> FURTHER_PARTS =
      List.of("eh_proj", "enorm", "hnorm", "shared_head", "embed_tokens");

  private static final Set<String> FURTHER = Set.of("mtp", "mtp_layers", "nextn", "mtp_block");

  /**
   * @param rank number of dimensions; it tells some stacked experts from dense matrices
   */
  static TensorPlace of(String name, int rank) {
    List<String> parts = split(name);
    int layerAt = layerAt(parts);
    int expertAt = expertAt(parts, layerAt + 1, rank);
    boolean further = false;
    for (String part : parts) further |= FURTHER.contains(part);
    int expert = expertAt == NONE ? NONE : expertNumber(parts, expertAt);
    if (layerAt != NONE)
      return new TensorPlace(
          stack(parts, layerAt), numberAtEnd(parts.get(layerAt)), expert, further);
    if (expert == NONE) return new TensorPlace("", NONE, NONE, further);
    // a layer that stands alone
    return new TensorPlace(String.join(".", parts.subList(0, expertAt)), 0, expert, further);
  }

  private static List<String> split(String name) {
    List<String> parts = new ArrayList<>(8);
    int begin = 0;
    for (int dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', begin)) {
      parts.add(name.substring(begin, dot));
      begin = dot + 1;
    }
    parts.add(name.substring(begin));
    return parts;
  }

  /** Index of the part that holds the layer's number, or {@link #NONE}. The first one counts. */
  private static int layerAt(List<String> parts) {
    for (int i = 0; i < parts.size(); i++) {
      String part = parts.get(i);
      if (CONTAINERS.contains(part)) return NONE;
      boolean numbered = i > 0 && number(part, 0) != NONE && isLayers(parts.get(i - 1));
      int underscore = part.lastIndexOf('_'); // layer_3
      boolean joined =
          underscore > 0
              && number(part, underscore + 1) != NONE
              && isLayers(part.substring(0, underscore));
      if (numbered || joined) return i;
    }
    return NONE;
  }

  private static boolean isLayers(String part) {
    return part.endsWith("layers")
        || part.endsWith("layer")
        || part.endsWith("blocks")
        || part.endsWith("block")
        || part.equals("h")
        || part.equals("blk");
  }

  /** Index of the part that says that experts follow, or {@link #NONE}. */
  private static int expertAt(List<String> parts, int from, int rank) {
    for (int i = from; i < parts.size(); i++) {
      String part = parts.get(i);
      String before = i > 0 ? parts.get(i - 1) : "";
      boolean sparse = before.equals("moe") || before.equals("block_sparse_moe");
      boolean granite = part.equals("input_linear") || part.equals("output_linear");
      if (CONTAINERS.contains(part)
          || STACKED.contains(part)
          || (sparse && MATRICES.contains(part))
          || (granite && (sparse || rank >= 3))
          || (part.startsWith("ffn_") && part.endsWith("_exps"))
          || part.startsWith("mlp1_")
          || part.startsWith("mlp2_")) return i;
    }
    return NONE;
  }

  private static int expertNumber(List<String> parts, int at) {
    int next = at + 1;
    while (next < parts.size() && CONTAINERS.contains(parts.get(next))) next++;
    if (!CONTAINERS.contains(parts.get(at)) || next == parts.size()) return ALL;
    String part = parts.get(next);
    int number = part.startsWith("expert_") ? number(part, 7) : number(part, 0);
    return number == NONE ? ALL : number;
  }

  /** Everything before the layer's number: {@code layer} of {@code layer_3}. */
  private static String stack(List<String> parts, int layerAt) {
    String part = parts.get(layerAt);
    int underscore = part.lastIndexOf('_');
    List<String> stack = new ArrayList<>(parts.subList(0, layerAt));
    if (underscore > 0) stack.add(part.substring(0, underscore));
    return String.join(".", stack);
  }

  private static int numberAtEnd(String part) {
    return number(part, part.lastIndexOf('_') + 1);
  }

  /** The digits from {@code begin} to the end, or {@link #NONE} if there is anything else. */
  private static int number(String part, int begin) {
    int digits = part.length() - begin;
    if (digits < 1 || digits > MAX_DIGITS) return NONE;
    int value = 0;
    for (int i = begin; i < part.length(); i++) {
      int digit = part.charAt(i) - '0';
      if (digit < 0 || digit > 9) return NONE;
      value = 10 * value + digit;
    }
    return value;
  }

  /** Whether only a layer that predicts further tokens has such a tensor. It is of some layer. */
  static boolean isOfFurtherLayer(String name) {
    return FURTHER_PARTS.stream().anyMatch(part -> name.contains("." + part + "."));
  }

  /** Whether the tensor belongs to a shared expert, which every token uses. */
  static boolean isShared(String name) {
    return name.contains(".shared_expert")
        || name.contains(".share_expert")
        || name.contains(".shared_mlp.")
        || name.contains("_shexp.");
  }

  /** Whether the tensor is the matrix that computes one logit per expert. */
  static boolean isRouter(String name) {
    return name.endsWith(".gate.weight")
        || name.endsWith(".router.weight")
        || name.endsWith(".router.layer.weight")
        || name.endsWith(".router.classifier.weight")
        || name.endsWith(".router.gate.weight")
        || name.endsWith(".router.proj.weight")
        || name.endsWith(".gate.wg.weight")
        || name.endsWith(".ffn_gate_inp.weight");
  }

  static boolean isEmbedding(String name) {
    return name.endsWith("embed_tokens.weight")
        || name.endsWith("tok_embeddings.weight")
        || name.endsWith("word_embeddings.weight")
        || name.endsWith("token_embd.weight")
        || name.endsWith("embed_in.weight")
        || name.endsWith("wte.weight")
        || name.equals("backbone.embeddings.weight")
        || name.equals("embedding.weight")
        || name.equals("embed.weight")
        || name.equals("shared.weight");
  }

  /** Whether the tensor is an output matrix of its own, beside the embedding. */
  static boolean isOutput(String name) {
    return name.endsWith("lm_head.weight")
        || name.endsWith("embed_out.weight")
        || name.equals("output.weight")
        || name.equals("unembedding.weight")
        || name.equals("head.weight");
  }
}
