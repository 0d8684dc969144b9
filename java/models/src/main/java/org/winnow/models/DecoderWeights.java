package org.winnow.models;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.UnsupportedFormatException;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;
import org.winnow.memory.TensorReads;
import org.winnow.models.DecoderSpec.Values;

/**
 * The weights of a decoder except its experts. Each is read once: vectors become f32, matrices keep
 * their stored type. In host memory, weights smaller than a huge page lie beside each other, so
 * that together they can lie on huge pages if the system grants these: every token reads all of
 * them, and small pages need an address translation per 4 KiB.
 */
final class DecoderWeights implements AutoCloseable {
  private static final long HUGE_PAGE_BYTES = 2 << 20;
  private static final long LINE_BYTES = 64;

  private final Map<String, Tensor> tensors = new HashMap<>();
  private final List<Linear> linears = new ArrayList<>();
  private final DType activations;
  private final Backend backend;
  private final String embedding;
  private final Set<String> arranged =
      new HashSet<>(); // that lie as the backend multiplies fastest
  private @Nullable Tensor together; // the memory of all small weights
  private long placedBytes; // of it

  private DecoderWeights(Backend backend, String embedding, DType activations) {
    this.activations = activations;
    this.backend = backend;
    this.embedding = embedding;
  }

  /**
   * Reads all weights of a decoder. If it throws, it keeps none.
   *
   * @param backend in whose memory the weights are placed; on the way to a device, a few at a time
   *     are in host memory
   * @param activations of the linear maps, f32 or bf16
   * @param progress receives the stored bytes that have been read
   * @throws org.winnow.ExpertReadException if a read fails
   */
  static DecoderWeights read(
      Checkpoint checkpoint,
      DecoderSpec spec,
      Backend backend,
      DType activations,
      LoadProgress progress) {
    DecoderWeights read = new DecoderWeights(backend, spec.embedding(), activations);
    List<DecoderSpec.Weight> weights = spec.weights();
    TensorMemory memory = backend.memory();
    try {
      if (memory.isHost()) read.reserve(checkpoint, weights);
      long totalBytes = storedBytes(checkpoint, weights);
      long readBytes = 0;
      List<DecoderSpec.Weight> inOrder = inFileOrder(checkpoint, weights);
      List<String> names = inOrder.stream().map(DecoderSpec.Weight::name).toList();
      try (TensorReads reads = checkpoint.readEach(names, read.layouts(checkpoint, spec, names))) {
        for (DecoderSpec.Weight weight : inOrder) {
          Tensor tensor = read(checkpoint, weight, reads.next(), memory);
          read.tensors.put(weight.name(), read.placed(tensor));
          readBytes += checkpoint.require(weight.name()).sizeBytes();
          progress.onBytesRead(readBytes, totalBytes);
        }
      }
      return read;
    } catch (RuntimeException | Error e) {
      read.close();
      throw e;
    }
  }

  /** In which layouts the matrices are read that are known to be multiplied as they are stored. */
  private List<WeightLayout> layouts(Checkpoint checkpoint, DecoderSpec spec, List<String> names) {
    Set<String> matrices = LinearMaps.of(spec, checkpoint);
    List<WeightLayout> layouts = new ArrayList<>();
    for (String name : names) {
      boolean isMatrix = matrices.contains(name);
      if (isMatrix) arranged.add(name);
      layouts.add(isMatrix ? layout(checkpoint.require(name).dtype()) : WeightLayout.ROWS);
    }
    return layouts;
  }

  private WeightLayout layout(DType dtype) {
    return backend.weightLayout(WeightFormat.of(dtype));
  }

  /** Each once. */
  private static List<DecoderSpec.Weight> inFileOrder(
      Checkpoint checkpoint, Collection<DecoderSpec.Weight> weights) {
    Map<String, DecoderSpec.Weight> byName = new LinkedHashMap<>();
    for (DecoderSpec.Weight weight : weights) byName.putIfAbsent(weight.name(), weight);
    List<DecoderSpec.Weight> inOrder = new ArrayList<>(byName.values());
    inOrder.sort(
        Comparator.<DecoderSpec.Weight, Path>comparing(w -> checkpoint.require(w.name()).file())
            .thenComparing(w -> checkpoint.require(w.name()).offset()));
    return inOrder;
  }

  /** Bytes of these weights in their files, each counted once. */
  static long storedBytes(Checkpoint checkpoint, Collection<DecoderSpec.Weight> weights) {
    return weights.stream()
        .map(DecoderSpec.Weight::name)
        .distinct()
        .mapToLong(name -> checkpoint.require(name).sizeBytes())
        .sum();
  }

  /** Allocates the memory of small weights, if they fill a huge page. */
  private void reserve(Checkpoint checkpoint, Collection<DecoderSpec.Weight> weights) {
    long total = 0;
    Set<String> seen = new HashSet<>();
    for (DecoderSpec.Weight weight : weights) {
      if (!seen.add(weight.name())) continue;
      TensorInfo stored = checkpoint.require(weight.name());
      DType dtype = weight.shape().length > 1 ? stored.dtype() : DType.F32;
      long sizeBytes =
          dtype.sizeBytes() * Arrays.stream(weight.shape()).reduce(1, Math::multiplyExact);
      if (sizeBytes < HUGE_PAGE_BYTES) total += aligned(sizeBytes);
    }
    if (total >= HUGE_PAGE_BYTES) together = Tensor.allocate(DType.I8, total);
  }

  /** This tensor, or a copy of a small one among the others; it is closed then. */
  private Tensor placed(Tensor tensor) {
    if (together == null || tensor.sizeBytes() >= HUGE_PAGE_BYTES) return tensor;
    try (tensor) {
      Tensor place = together.view(placedBytes, tensor.dtype(), tensor.shape());
      placedBytes += aligned(tensor.sizeBytes());
      return place.copyFrom(tensor);
    }
  }

  private static long aligned(long sizeBytes) {
    return (sizeBytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
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

  /** What becomes of a weight as stored, which this closes if it returns another tensor. */
  private static Tensor read(
      Checkpoint checkpoint, DecoderSpec.Weight weight, Tensor stored, TensorMemory memory) {
    boolean asStored = weight.shape().length > 1 || stored.dtype() == DType.F32;
    try {
      if (weight.values() != Values.UNCHECKED && !isFinite(stored))
        requireNumbers(checkpoint, weight, stored.toFloatArray());
    } catch (RuntimeException | Error e) {
      stored.close();
      throw e;
    }
    if (asStored && memory.isHost()) return stored;
    try (stored) {
      return asStored
          ? Tensor.copyOf(memory, stored)
          : Tensor.of(memory, stored.toFloatArray(), weight.shape());
    }
  }

  /**
   * Checks the values of norms, biases, sinks and routers. These are few, and one that is not
   * finite spoils every token. Other matrices are not searched, as that would double the time of
   * opening; what is not finite there shows in the logits.
   */
  private static void requireNumbers(
      Checkpoint checkpoint, DecoderSpec.Weight weight, float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (Float.isFinite(values[i])) continue;
      if (weight.values() == Values.FINITE_OR_MINUS_INFINITY
          && values[i] == Float.NEGATIVE_INFINITY) continue;
      throw new CheckpointException(
          checkpoint.require(weight.name()).file(),
          weight.name(),
          "finite numbers",
          values[i] + " at index " + index(i, weight.shape()));
    }
  }

  /** Looks at exponents. To widen 16-bit routers in Java would take seconds for a large model. */
  private static boolean isFinite(Tensor tensor) {
    if (tensor.dtype() == DType.F32 || tensor.size() % 2 > 0) return false; // see the values
    int exponent = tensor.dtype() == DType.BF16 ? 0x7f80 : 0x7c00;
    try (Tensor pairs = tensor.view(0, DType.I32, tensor.size() / 2)) {
      for (int pair : pairs.toIntArray())
        if ((pair & exponent) == exponent || (pair >>> 16 & exponent) == exponent) return false;
    }
    return true;
  }

  private static String index(int i, long[] shape) {
    return shape.length == 1 ? "" + i : Arrays.toString(new long[] {i / shape[1], i % shape[1]});
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

  /**
   * Makes both f32 if their types differ. A feed-forward block computes gate and up at once, in one
   * type; widening changes no value.
   */
  void widenUnlike(String first, String second) {
    if (get(first).dtype() == get(second).dtype()) return;
    for (String name : List.of(first, second)) {
      Tensor stored = get(name);
      if (stored.dtype() == DType.F32) continue;
      tensors.put(name, Tensor.of(stored.memory(), stored.toFloatArray(), stored.shape()));
      stored.close();
    }
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

  /** The linear map of a router: its activations are f32, as a choice is more sensitive. */
  Linear router(DecoderSpec.Projection projection) {
    return linear(projection.weight(), projection.bias(), DType.F32);
  }

  /** As {@link #linear(DecoderSpec.Projection)}, or null if there is no projection. */
  @Nullable Linear linearOrNull(DecoderSpec.@Nullable Projection projection) {
    return projection == null ? null : linear(projection);
  }

  /** As {@link #linear(DecoderSpec.Projection)}, given the names of the two tensors. */
  Linear linear(String weight, @Nullable String bias) {
    return linear(weight, bias, activations);
  }

  private Linear linear(String weight, @Nullable String bias, DType type) {
    Tensor matrix = get(weight);
    boolean isTable = weight.equals(embedding); // whose rows are looked up
    WeightLayout layout = isTable ? WeightLayout.ROWS : layout(matrix.dtype());
    if (arranged.add(weight)) layout.arrange(matrix);
    Linear linear = new Linear(Matrix.of(layout, matrix), getOrNull(bias), type);
    linears.add(linear);
    return linear;
  }

  DType activations() {
    return activations;
  }

  long sizeBytes() {
    return tensors.values().stream().mapToLong(Tensor::sizeBytes).sum();
  }

  @Override
  public void close() {
    linears.forEach(Linear::close);
    tensors.values().forEach(Tensor::close);
    if (together != null) together.close();
  }
}
