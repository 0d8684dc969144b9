package org.winnow.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.UnsupportedFormatException;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/** A decoder's weights without its experts', each read once: vectors as f32, matrices as stored. */
final class DecoderWeights implements AutoCloseable {
  private final Map<String, Tensor> tensors = new HashMap<>();
  private final List<Linear> linears = new ArrayList<>();

  private DecoderWeights() {}

  /**
   * Reads all of them, or throws and keeps none.
   *
   * @param memory where they are kept; on the way to a device one at a time is in the host's
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
   * Checks that the checkpoint has this tensor; reads nothing.
   *
   * @throws CheckpointException if it is missing or has another shape
   * @throws UnsupportedFormatException if its type is not computed
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
              + " are not computed; F32, BF16 and F16 are");
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

  /** The tensor of that name; null for null. */
  Tensor get(String name) {
    if (name == null) return null;
    Tensor tensor = tensors.get(name);
    if (tensor == null)
      throw new IllegalStateException(name + " is not among the weights that the family lists");
    return tensor;
  }

  /** A linear map over these weights, closed with them; null for null. */
  Linear linear(DecoderSpec.Projection projection) {
    return projection == null ? null : linear(projection.weight(), projection.bias());
  }

  /**
   * As {@link #linear(DecoderSpec.Projection)}, by the tensors' names; {@code bias} may be null.
   */
  Linear linear(String weight, String bias) {
    Linear linear = new Linear(get(weight), get(bias));
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
