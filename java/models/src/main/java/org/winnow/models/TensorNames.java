package org.winnow.models;

/**
 * What a tensor's name says of its place, over all families: {@code
 * model.layers.3.mlp.experts.7.up_proj.weight}. Plain searches, no patterns: a report goes through
 * tens of thousands of names.
 */
final class TensorNames {
  /** Not the tensor of an expert, or of a layer. */
  static final int NONE = -1;

  /** All experts of a layer, stacked in one tensor. */
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

  /** Part of the experts that every token uses. */
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

  /** Scales of quantised weights, and tables of rotary frequencies: no weights. */
  static boolean isScale(String name) {
    return name.endsWith("_scale_inv")
        || name.endsWith(".weight_scale")
        || name.endsWith(".input_scale")
        || name.endsWith("_scales")
        || name.endsWith(".inv_freq");
  }

  /** The number between a marker, at the beginning or behind a dot, and the next dot. */
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
