package org.winnow.models;

import java.util.Collection;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.memory.TensorInfo;

/**
 * Tells how many weights a tensor of a checkpoint stores, and in which format. Quantised formats
 * pack several weights into an element, and add tensors of scales and zero points, which count as
 * none. The tensors decide: a format is known by the tensors beside a weight, not by the
 * configuration.
 */
final class StoredWeights {
  /**
   * A format of weights.
   *
   * @param name the element type in the file, or the name of a quantised format
   * @param weights number of weights that the tensor stores; 0 for scales and other companions
   * @param quantised whether elements are not the weights themselves
   */
  record Encoding(String name, long weights, boolean quantised) {}

  /** Endings of companions, which are stored beside the {@code weight} of the same module. */
  private static final String[] COMPANIONS = {
    "weight_scale",
    "weight_scale_inv",
    "weight_scale_2",
    "weight_global_scale",
    "weight_zero_point",
    "weight_g_idx",
    "weight_shape",
    "input_scale",
    "input_global_scale",
    "activation_scale",
    "output_scale",
    "k_scale",
    "v_scale",
    "qzeros",
    "g_idx",
    "scales",
    "biases",
    "SCB",
    "weight_format",
    "inv_freq",
    "masked_bias"
  };

  private static final String MLX = "MLX";
  private static final String MXFP4 = "MXFP4";

  private final Map<String, TensorInfo> tensors = new HashMap<>();
  private final int bits; // of packed integers, where the tensors do not tell; 0 if not known
  private final int groupSize; // of MLX; 0 if not known

  /**
   * @param bits bits per weight that the configuration gives, or 0
   * @param groupSize weights per scale that the configuration gives, or 0
   */
  StoredWeights(Collection<TensorInfo> tensors, int bits, int groupSize) {
    for (TensorInfo tensor : tensors) this.tensors.put(tensor.name(), tensor);
    this.bits = bits;
    this.groupSize = groupSize;
  }

  Encoding of(TensorInfo tensor) {
    String name = tensor.name();
    Encoding blocks = blocks(tensor);
    if (blocks != null) return blocks;
    int dot = name.lastIndexOf('.');
    String module = name.substring(0, dot + 1); // with the dot
    String last = name.substring(dot + 1);
    String nf4 = bitsandbytes(tensor);
    if (nf4 != null) return new Encoding(nf4, Saturated.times(2, tensor.size()), true);
    int weightAt = name.lastIndexOf(".weight.");
    if (weightAt > 0) { // absmax, quant_map, quant_state, nested_...
      TensorInfo weight = tensors.get(name.substring(0, weightAt + 7));
      String format = weight == null ? null : bitsandbytes(weight);
      if (format != null) return new Encoding(format, 0, true);
    }
    for (String companion : COMPANIONS) {
      if (last.equals(companion)) return companion(tensor, module);
    }
    if (last.equals("scale") && weightOf(module) != null) return companion(tensor, module);
    if (last.endsWith("_scale") || last.endsWith("_scale_inv")) { // experts.gate_up_proj_scale
      String weight = name.substring(0, name.lastIndexOf("_scale"));
      if (tensors.containsKey(weight)) return new Encoding(tensor.storedType(), 0, false);
    }
    boolean mask = last.equals("bias") && tensor.shape().length == 4; // GPT-2's causal mask
    if (mask) return new Encoding(tensor.storedType(), 0, false);
    String format = format(tensor, module, last);
    if (format == null) return new Encoding(tensor.storedType(), tensor.size(), false);
    return new Encoding(format, weights(tensor, module, format), true);
  }

  /** gpt-oss: U8 blocks of two codes per byte, and scales beside them. */
  private @Nullable Encoding blocks(TensorInfo tensor) {
    String name = tensor.name();
    if (!tensor.storedType().equals("U8")) return null;
    if (name.endsWith("_blocks") || name.endsWith(".blocks"))
      return new Encoding(MXFP4, Saturated.times(2, tensor.size()), true);
    boolean scales = name.endsWith("_scales") || name.endsWith(".scales");
    String blocks = scales ? name.substring(0, name.length() - "scales".length()) + "blocks" : "";
    return tensors.containsKey(blocks) ? new Encoding(MXFP4, 0, true) : null;
  }

  /** The name of the 4-bit format of bitsandbytes that a weight has, or null. */
  private @Nullable String bitsandbytes(TensorInfo tensor) {
    if (!tensor.storedType().equals("U8")) return null;
    for (String code : new String[] {"nf4", "fp4"}) {
      if (tensors.containsKey(tensor.name() + ".quant_state.bitsandbytes__" + code))
        return "bitsandbytes " + code.toUpperCase(Locale.ROOT);
    }
    return null;
  }

  private Encoding companion(TensorInfo tensor, String module) {
    TensorInfo weight = weightOf(module);
    if (weight == null) return new Encoding(tensor.storedType(), 0, false);
    String last = weight.name().substring(module.length());
    String format = format(weight, module, last);
    return new Encoding(format == null ? tensor.storedType() : format, 0, format != null);
  }

  /** The tensor of a module that stores its weights, in the spelling of any format, or null. */
  private @Nullable TensorInfo weightOf(String module) {
    for (String spelling : new String[] {"weight", "qweight", "weight_packed"}) {
      TensorInfo weight = tensors.get(module + spelling);
      if (weight != null) return weight;
    }
    return null;
  }

  /** The quantised format of a tensor that stores weights, or null if elements are weights. */
  private @Nullable String format(TensorInfo tensor, String module, String last) {
    String type = tensor.storedType();
    if (last.equals("qweight")) return isAwq(tensor, module) ? "AWQ" : "GPTQ";
    if (last.equals("weight_packed")) {
      if (!type.equals("U8")) return "compressed-tensors integers";
      return tensors.containsKey(module + "weight_global_scale") ? "NVFP4" : MXFP4;
    }
    if (!last.equals("weight")) return null;
    boolean words = type.equals("U32") || type.equals("I32");
    if (words && tensors.containsKey(module + "scales")) return MLX;
    if (tensors.containsKey(module + "SCB")) return "bitsandbytes INT8";
    boolean bytes = type.equals("U8") || type.equals("I8");
    if (bytes && tensors.containsKey(module + "weight_scale_2")) return "NVFP4";
    TensorInfo scale = tensors.get(module + "weight_scale");
    if (scale == null) scale = tensors.get(module + "scale");
    if (!bytes || scale == null) return null;
    // one scale for 32 weights, two of which share a byte
    return columns(tensor) == 16 * columns(scale) ? MXFP4 : null;
  }

  /** AWQ packs along the outputs, so that scales have more columns than words. */
  private boolean isAwq(TensorInfo qweight, String module) {
    TensorInfo scales = tensors.get(module + "scales");
    return scales != null
        && !tensors.containsKey(module + "g_idx")
        && columns(scales) != columns(qweight);
  }

  private static long columns(TensorInfo tensor) {
    long[] shape = tensor.shape();
    return shape.length == 0 ? 1 : shape[shape.length - 1];
  }

  private long weights(TensorInfo tensor, String module, String format) {
    long elements = tensor.size();
    return switch (format) {
      case "NVFP4", MXFP4 -> Saturated.times(2, elements);
      case "AWQ", "GPTQ" -> perWord(elements, packedBits(module));
      case "compressed-tensors integers" -> perWord(elements, bits);
      case MLX -> perScale(module, elements);
      default -> elements;
    };
  }

  /** Bits per weight: zero points are packed as the weights are, and there is one per scale. */
  private long packedBits(String module) {
    TensorInfo zeros = tensors.get(module + "qzeros");
    TensorInfo scales = tensors.get(module + "scales");
    if (zeros == null || scales == null || columns(scales) == 0) return bits;
    return 32 * columns(zeros) / columns(scales);
  }

  private static long perWord(long words, long bits) {
    return Saturated.times(words, 32) / (bits < 1 || bits > 32 ? 4 : bits);
  }

  private long perScale(String module, long words) {
    TensorInfo scales = tensors.get(module + "scales");
    return scales == null || groupSize == 0
        ? perWord(words, bits)
        : Math.min(Saturated.times(32, words), Saturated.times(scales.size(), groupSize));
  }
}
