package org.winnow.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.UnsupportedFormatException;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * The weights of a decoder except its experts. Each is read once: vectors become f32, matrices keep
 * their stored type.
 */
final class DecoderWeights implements AutoCloseable {
  private final Map<String, Tensor> tensors = new HashMap<>();
  private final List<Linear> linears = new ArrayList<>();

  private DecoderWeights() {}

  /**
   * Reads all weights. If it throws, it keeps none.
   *
   * @param memory where the weights are placed; on the way to a device, one at a time is in host
   *     memory
   * @throws org.winnow.ExpertReadException if a read fails
   */
  static DecoderWeights read(
      Checkpoint checkpoint, Collection<DecoderSpec.Weight> weights, TensorMemory memory) {
    DecoderWeights read = new DecoderWeights();
    try {
      for (DecoderSpec.Weight weight : weights) {
        if (!read.tensors.containsKey(weight.name()))
          read.tensors.put(weight.name(), read(checkpoint, weight, memory));
      }
      return read;
    } catch (RuntimeException | Error e) {
      read.close();
      throw e;
    }
  }

  /**
   * Checks that the checkpoint has this tensor, without reading its data.
   *
   * @throws CheckpointException if it is missing or has another shape
   * @throws UnsupportedFormatException if its type is not supported
   */
  static void check(Checkpoint checkpoint, DecoderSpec.Weight weight) {
    TensorInfo found = checkpoint.require(weight.name());
    if (!Arrays.equals(found.shape(), weight.shape())) {
      throw new CheckpointException(
          found.file(),
          weight.name(),
          "shape " + Arrays.toString(weight.shape()),
          Arrays.toString(found.shape()));
    }
    if (found.dtype() == null || !found.dtype().isFloating()) {
      throw new UnsupportedFormatException(
          found.file()
              + ": "
              + weight.name()
              + ": weights of type "
              + found.storedType()
              + " are not supported; F32, BF16 and F16 are");
    }
  }

  private static Tensor read(
      Checkpoint checkpoint, DecoderSpec.Weight weight, TensorMemory memory) {
    Tensor stored = checkpoint.read(weight.name());
    boolean asStored = weight.shape().length > 1 || stored.dtype() == DType.F32;
    if (asStored && memory.isHost()) return stored;
    try (stored) {
      return asStored
          ? Tensor.copyOf(memory, stored)
          : Tensor.of(memory, stored.toFloatArray(), weight.shape());
    }
  }

  /**
   * The tensor of this name.
   *
   * @throws IllegalStateException if the family does not list it
   */
  Tensor get(String name) {
    Tensor tensor = tensors.get(name);
    if (tensor == null)
      throw new IllegalStateException(name + " is not among the weights that the family lists");
    return tensor;
  }

  /** The tensor of this name, or null if there is no name. */
  @Nullable Tensor getOrNull(@Nullable String name) {
    return name == null ? null : get(name);
  }

  /** The weight of a norm, or null if there is no norm. */
  @Nullable Tensor norm(DecoderSpec.@Nullable Norm norm) {
    return norm == null ? null : get(norm.name());
  }

  /** A linear map with the weight and bias of a projection. It is closed with the weights. */
  Linear linear(DecoderSpec.Projection projection) {
    return linear(projection.weight(), projection.bias());
  }

  /** As {@link #linear(DecoderSpec.Projection)}, or null if there is no projection. */
  @Nullable Linear linearOrNull(DecoderSpec.@Nullable Projection projection) {
    return projection == null ? null : linear(projection);
  }

  /** As {@link #linear(DecoderSpec.Projection)}, given the names of the two tensors. */
  Linear linear(String weight, @Nullable String bias) {
    Linear linear = new Linear(get(weight), getOrNull(bias));
    linears.add(linear);
    return linear;
  }

  long sizeBytes() {
    return tensors.values().stream().mapToLong(Tensor::sizeBytes).sum();
  }

  @Override
  public void close() {
    linears.forEach(Linear::close);
    tensors.values().forEach(Tensor::close);
  }
}
