package org.winnow.models;

import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.winnow.CheckpointException;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * Where the decoder lies among the tensors of a checkpoint. A decoder alone has the prefix {@code
 * model.} or none. In a model that also reads images, other prefixes are usual, and tensors of
 * other parts lie beside the decoder.
 */
final class DecoderNames {
  private static final String[] PREFIXES = {
    "model.", "model.language_model.", "language_model.model.", "language_model.", ""
  };

  /** Parts of models that also read images or sound, or predict further tokens. */
  private static final List<String> OTHER_PARTS =
      List.of(
          "visual.",
          "vision_tower.",
          "vision_model.",
          "vision_embed_tokens.",
          "multi_modal_projector.",
          "mm_projector.",
          "mlp1.",
          "image_newline",
          "audio_tower.",
          "audio_model.",
          "mtp.");

  private static final Pattern LAYER = Pattern.compile("layers\\.(\\d{1,6})\\.");

  private final Checkpoint checkpoint;
  private final NavigableSet<String> names;
  private final String prefix;
  private final boolean wrapped;
  private final String output;

  /**
   * @throws CheckpointException if two embeddings or two output matrices are there
   */
  DecoderNames(ModelConfig config, Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
    names = new TreeSet<>(checkpoint.names());
    prefix = onlyOne("embed_tokens.weight", "model.", PREFIXES);
    wrapped = config.wrapperType() != null || !(prefix.equals("model.") || prefix.isEmpty());
    String heads = onlyOne("lm_head.weight", "", "", "language_model.", "model.", prefix);
    String head = heads + "lm_head.weight";
    output = has(head) || !config.tiedEmbeddings() ? head : embedding();
  }

  private String onlyOne(String name, String absent, String... prefixes) {
    String found = null;
    for (String candidate : prefixes) {
      if (!has(candidate + name) || candidate.equals(found)) continue;
      if (found != null) {
        TensorInfo second = checkpoint.require(candidate + name);
        throw new CheckpointException(
            second.file(), second.name(), "one decoder", "a second one beside " + found + name);
      }
      found = candidate;
    }
    return found == null ? absent : found;
  }

  /** What the names of the decoder's tensors begin with. */
  String prefix() {
    return prefix;
  }

  String embedding() {
    return prefix + "embed_tokens.weight";
  }

  /**
   * The matrix that computes the logits. A matrix of its own is used if it is there, whatever the
   * configuration says; else the embedding, if the configuration ties the two.
   */
  String output() {
    return output;
  }

  boolean has(String name) {
    return names.contains(name);
  }

  /** Whether this tensor is there and has this many dimensions. */
  boolean has(String name, int rank) {
    return has(name) && checkpoint.require(name).shape().length == rank;
  }

  /** Whether any tensor's name begins like this. */
  boolean hasAny(String beginning) {
    String next = names.ceiling(beginning);
    return next != null && next.startsWith(beginning);
  }

  /**
   * Whether a decoder does not need a tensor that it does not name: stored rotary frequencies, a
   * layer that predicts further tokens, or another part of a model that also reads images.
   */
  boolean isIgnorable(String name, ModelConfig config) {
    if (name.endsWith(".rotary_emb.inv_freq")) return true;
    if (wrapped && isOtherPart(name)) return true;
    if (!name.startsWith(prefix)) return false;
    Matcher layer = LAYER.matcher(name).region(prefix.length(), name.length());
    if (!layer.lookingAt()) return false;
    int index = Integer.parseInt(layer.group(1)) - config.numLayers();
    return index >= 0
        && index < config.furtherTokenLayers()
        && isFurther(name.substring(0, layer.end()));
  }

  /** Whether a layer has what only one for further tokens has. Else it is one of the decoder's. */
  private boolean isFurther(String layer) {
    return TensorPlace.FURTHER_PARTS.stream().anyMatch(part -> hasAny(layer + part + "."));
  }

  private static boolean isOtherPart(String name) {
    String rest = name.startsWith("model.") ? name.substring("model.".length()) : name;
    return OTHER_PARTS.stream().anyMatch(rest::startsWith);
  }
}
