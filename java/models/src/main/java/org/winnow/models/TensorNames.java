package org.winnow.models;

/**
 * Derives a tensor's place in the model from its name, for all families: {@code
 * model.layers.3.mlp.experts.7.up_proj.weight}. It searches strings without regular expressions
 * because a report reads tens of thousands of names.
 */
final class TensorNames {
  /** The tensor belongs to no layer or to no expert. */
  static final int NONE = -1;

  /** The tensor holds all experts of a layer. */
  static final int ALL = -2;

  private static final String[] LAYER_MARKERS = {"layers.", "blk.", "h."};
  private static final int MAX_DIGITS = 6;

  private TensorNames() {}

  /** Number of the layer, or {@link #NONE}. */
  static int layer(String name) {
    for (String marker : LAYER_MARKERS) {
      int layer = numberAfter(name, marker);
      if (layer != NONE) return layer;
    }
    return NONE;
  }

  /** Number of the routed expert, {@link #ALL} or {@link #NONE}. */
  static int expert(String name) {
    int expert = numberAfter(name, "experts.");
    if (expert != NONE) return expert;
    boolean stacked =
        name.contains(".experts.") || (name.contains(".ffn_") && name.contains("_exps."));
    return stacked ? ALL : NONE;
  }

  /** Whether the tensor belongs to a shared expert, which every token uses. */
  static boolean isShared(String name) {
    return name.contains(".shared_expert") || name.contains("_shexp.");
  }

  static boolean isRouter(String name) {
    return name.endsWith(".gate.weight")
        || name.endsWith(".router.weight")
        || name.endsWith(".ffn_gate_inp.weight");
  }

  static boolean isEmbedding(String name) {
    return name.endsWith("embed_tokens.weight")
        || name.endsWith("token_embd.weight")
        || name.endsWith("wte.weight");
  }

  /**
   * Whether the tensor is not a weight: the scales of a quantised weight, or a table of rotary
   * frequencies.
   */
  static boolean isScale(String name) {
    return name.endsWith("_scale_inv")
        || name.endsWith(".weight_scale")
        || name.endsWith(".input_scale")
        || name.endsWith("_scales")
        || name.endsWith(".inv_freq");
  }

  /**
   * The number between a marker and the next dot, or {@link #NONE}. The marker counts only at the
   * beginning of the name or after a dot.
   */
  private static int numberAfter(String name, String marker) {
    for (int at = name.indexOf(marker); at >= 0; at = name.indexOf(marker, at + 1)) {
      int begin = at + marker.length();
      int end = begin;
      while (end < name.length()
          && end - begin < MAX_DIGITS
          && name.charAt(end) >= '0'
          && name.charAt(end) <= '9') end++;
      boolean whole =
          end > begin
              && end < name.length()
              && name.charAt(end) == '.'
              && (at == 0 || name.charAt(at - 1) == '.');
      if (whole) return Integer.parseInt(name, begin, end, 10);
    }
    return NONE;
  }
}
