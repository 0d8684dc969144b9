package org.winnow.models;

import java.nio.file.Path;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.UnsupportedFormatException;
import org.winnow.WeightFormat;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.TensorInfo;
import org.winnow.op.ExpertMatrices;

/**
 * What opening a model decides before it reads the data of a tensor: the decoder that the
 * configuration and the tensors describe, and where its experts lie. Making a plan reads {@code
 * config.json} and the headers only. A checkpoint with a plan opens, unless a value in its data or
 * the machine's memory forbids it.
 */
final class DecoderPlan implements AutoCloseable {
  private static final List<String> QUANTISED =
      List.of(
          "_scale_inv",
          "_scale",
          "_scales",
          ".scales",
          "_blocks",
          "_packed",
          ".qweight",
          ".qzeros",
          ".g_idx",
          "_zero_point",
          ".biases",
          ".absmax",
          ".quant_map",
          ".SCB");

  private final ModelConfig config;
  private final DecoderNames names;
  private final DecoderSpec spec;
  private final Checkpoint checkpoint;
  private final @Nullable ExpertStore experts; // null for a dense model

  /**
   * @param folder with {@code config.json} and safetensors files
   * @param backend that will compute with the experts: they are to be read as it multiplies them
   *     fastest
   * @throws CheckpointException if a file, key or tensor is missing or wrong
   * @throws UnsupportedFormatException naming what is not supported
   */
  static DecoderPlan of(Path folder, Backend backend) {
    return of(folder, backend, Safetensors::tensors);
  }

  /**
   * @param tensors reads the headers of a folder, or returns what was read before
   */
  static DecoderPlan of(Path folder, Backend backend, Function<Path, List<TensorInfo>> tensors) {
    ModelConfig config = readConfig(folder);
    Family.requireSupported(config); // needs no headers to be refused
    return of(config, backend, tensors.apply(folder));
  }

  /** A family that is not supported is named as such, not by the first key that it lacks. */
  private static ModelConfig readConfig(Path folder) {
    try {
      return ModelConfig.read(folder);
    } catch (CheckpointException e) {
      Path file = folder.resolve("config.json");
      String type = e.file().equals(file) ? ConfigFacts.decoderType(folder) : null;
      if (type != null) Family.requireSupported(file, type);
      throw e;
    }
  }

  /**
   * @param tensors all tensors of the checkpoint, as the headers name them
   * @throws CheckpointException if a key or tensor is missing or wrong
   * @throws UnsupportedFormatException naming what is not supported
   */
  static DecoderPlan of(ModelConfig config, Backend backend, Collection<TensorInfo> tensors) {
    Checkpoint checkpoint = new Checkpoint(tensors);
    try {
      return new DecoderPlan(config, backend, checkpoint);
    } catch (RuntimeException | Error e) {
      checkpoint.close();
      throw e;
    }
  }

  private DecoderPlan(ModelConfig config, Backend backend, Checkpoint checkpoint) {
    this.config = config;
    this.checkpoint = checkpoint;
    Family.requireSupported(config);
    refuseQuantisedTensors();
    names = new DecoderNames(config, checkpoint);
    requireLayers();
    spec = Family.describe(config, names);
    requireOutput();
    for (DecoderSpec.Weight weight : spec.weights()) DecoderWeights.check(checkpoint, weight);
    refuseUnknownTensors();
    experts = spec.expertStore(checkpoint, backend);
  }

  /** Checks that there is something of each layer, before thousands of layers are described. */
  private void requireLayers() {
    for (int layer = 0; layer < config.numLayers(); layer++) {
      String prefix = names.prefix() + "layers." + layer;
      if (!names.hasAny(prefix + "."))
        throw new CheckpointException(
            config.file(),
            ConfigKey.NUM_LAYERS.name(),
            "as many layers as there are tensors of",
            config.numLayers() + ", and no tensor of " + prefix);
    }
  }

  private void requireOutput() {
    if (!names.has(spec.output()) && names.has(spec.embedding()))
      throw new CheckpointException(
          checkpoint.require(spec.embedding()).file(),
          spec.output(),
          "a tensor of that name, as tie_word_embeddings is not true in config.json",
          "none");
  }

  /**
   * Refuses weights that are quantised, which the names of what belongs to them tell: scales, zero
   * points, packed values.
   */
  private void refuseQuantisedTensors() {
    StoredWeights stored = new StoredWeights(checkpoint.tensors(), 0, 0);
    for (TensorInfo tensor : checkpoint.tensors()) {
      String name = tensor.name();
      StoredWeights.Encoding encoding = stored.of(tensor);
      if (!encoding.quantised() && QUANTISED.stream().noneMatch(name::endsWith)) continue;
      String method =
          encoding.quantised()
              ? encoding.name()
              : config.quantization() == null
                  ? null
                  : config.quantization() + ", as config.json says";
      throw new UnsupportedFormatException(
          tensor.file()
              + ": "
              + name
              + ": quantised weights"
              + (method == null ? "" : " (" + method + ")")
              + " are not supported yet; F32, BF16 and F16 are");
    }
  }

  /**
   * Refuses tensors that the family does not know. A decoder that ignores one would compute a
   * different model.
   */
  private void refuseUnknownTensors() {
    Set<String> known = new HashSet<>();
    spec.weights().forEach(weight -> known.add(weight.name()));
    spec.forEachExpertTensor(known::add);
    for (TensorInfo tensor : checkpoint.tensors()) {
      if (!known.contains(tensor.name()) && !names.isIgnorable(tensor.name(), config)) {
        throw new CheckpointException(
            tensor.file(),
            tensor.name(),
            "only tensors of a " + config.modelType() + " decoder as config.json describes it",
            tensor.toString());
      }
    }
  }

  ModelConfig config() {
    return config;
  }

  DecoderSpec spec() {
    return spec;
  }

  /** Open for as long as the plan is. */
  Checkpoint checkpoint() {
    return checkpoint;
  }

  /** Where the experts lie; null: a dense model. */
  @Nullable ExpertStore experts() {
    return experts;
  }

  /**
   * What activations are multiplied in: bf16 if these are to be and some matrix is not stored in
   * f32, else f32. Routers do not count.
   */
  DType activations(DType asked) {
    Set<WeightFormat> formats = new HashSet<>();
    for (String name : LinearMaps.of(spec, checkpoint))
      formats.add(WeightFormat.of(checkpoint.require(name).dtype()));
    formats.add(WeightFormat.of(checkpoint.require(spec.output()).dtype()));
    for (int layer = 0; experts != null && layer < experts.numLayers(); layer++) {
      formats.add(experts.format(layer, ExpertRole.GATE));
      formats.add(experts.format(layer, ExpertRole.DOWN));
    }
    boolean inBf16 =
        formats.stream().anyMatch(f -> ExpertMatrices.productType(f, asked) == DType.BF16);
    return inBf16 ? DType.BF16 : DType.F32;
  }

  /** Bytes of all weights except experts, as stored. */
  long residentBytes() {
    return DecoderWeights.storedBytes(checkpoint, spec.weights());
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
