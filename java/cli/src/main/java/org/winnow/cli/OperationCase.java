package org.winnow.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;
import org.winnow.models.Safetensors;

/**
 * A file with an operation's options, its inputs and weights, and the results of a reference. It
 * owns the tensors that it hands out.
 */
final class OperationCase implements AutoCloseable {
  private static final String EXPECTED = "expected.";

  private final Path file;
  private final Backend backend;
  private final Map<String, String> metadata;
  private final Checkpoint checkpoint;
  private final List<Tensor> tensors = new ArrayList<>();
  private final List<TensorVerdict> verdicts = new ArrayList<>();
  private final Set<String> judged = new HashSet<>();

  /**
   * @throws CheckpointException if the file is no safetensors file
   */
  OperationCase(Path file, Backend backend) {
    this.file = file;
    this.backend = backend;
    metadata = Safetensors.metadata(file);
    checkpoint = Safetensors.open(file);
  }

  Backend backend() {
    return backend;
  }

  /** Whether the metadata has that key. */
  boolean has(String option) {
    return metadata.containsKey(option);
  }

  /**
   * @throws CheckpointException if the metadata has no such key
   */
  String option(String name) {
    String value = metadata.get(name);
    if (value == null) throw fault("__metadata__: " + name, "a string", "nothing");
    return value;
  }

  /**
   * A count in the metadata.
   *
   * @throws CheckpointException if it is missing or not an integer from 1 to 2^31 - 1
   */
  int count(String name) {
    String value = option(name);
    try {
      int count = Integer.parseInt(value);
      if (count >= 1) return count;
    } catch (NumberFormatException e) {
      // said below
    }
    throw fault("__metadata__: " + name, "an integer from 1 to 2^31 - 1", quoted(value));
  }

  /**
   * A finite number in the metadata.
   *
   * @throws CheckpointException if it is missing or not a finite number
   */
  float number(String name) {
    String value = option(name);
    try {
      float number = Float.parseFloat(value);
      if (Float.isFinite(number)) return number;
    } catch (NumberFormatException e) {
      // said below
    }
    throw fault("__metadata__: " + name, "a finite number", quoted(value));
  }

  /** The largest error allowed, relative to the largest magnitude of the expected tensor. */
  private double tolerance(String tensor) {
    String key = "tolerance." + tensor;
    if (!has(key)) key = "tolerance";
    String value = option(key);
    try {
      double tolerance = Double.parseDouble(value);
      if (tolerance >= 0 && tolerance < Double.POSITIVE_INFINITY) return tolerance;
    } catch (NumberFormatException e) {
      // said below
    }
    throw fault("__metadata__: " + key, "a number that is not negative", quoted(value));
  }

  /** Whether the file has that tensor. */
  boolean holds(String name) {
    return checkpoint.find(name) != null;
  }

  /**
   * A tensor of the file, in the backend's memory.
   *
   * @param shape its extents; {@link Tensor#ANY} where any will do
   * @throws CheckpointException if it is missing, or if its type or shape is another
   */
  Tensor tensor(String name, Set<DType> types, long... shape) {
    TensorInfo info = require(name, types, shape);
    try (Tensor onHost = checkpoint.read(info.name())) {
      return own(backend.copyOf(onHost));
    }
  }

  /** An f32, bf16 or f16 tensor as it is stored, for an operation's weights. */
  Tensor floating(String name, long... shape) {
    return tensor(name, Set.of(DType.F32, DType.BF16, DType.F16), shape);
  }

  /** The same in a type that operations take as input: f16 is widened to f32. */
  Tensor input(String name, long... shape) {
    TensorInfo info = require(name, Set.of(DType.F32, DType.BF16, DType.F16), shape);
    return info.dtype() == DType.F16 ? f32(name, shape) : floating(name, shape);
  }

  /** A tensor widened to f32. */
  Tensor f32(String name, long... shape) {
    TensorInfo info = require(name, Set.of(DType.F32, DType.BF16, DType.F16), shape);
    try (Tensor onHost = checkpoint.read(name)) {
      return own(backend.of(onHost.toFloatArray(), info.shape()));
    }
  }

  /** The same, or null if the file has no such tensor. */
  @Nullable Tensor f32OrNull(String name, long... shape) {
    return holds(name) ? f32(name, shape) : null;
  }

  /** The transpose of an f32 matrix. */
  Tensor transposed(Tensor matrix) {
    int rows = Math.toIntExact(matrix.dim(0));
    int columns = Math.toIntExact(matrix.dim(1));
    float[] from = matrix.toFloatArray();
    float[] to = new float[from.length];
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
    return own(backend.of(to, columns, rows));
  }

  /** A tensor of undefined elements. */
  Tensor allocate(DType dtype, long... shape) {
    return own(backend.allocate(dtype, shape));
  }

  /** An f32 tensor for results, filled with NaN. */
  Tensor result(long... shape) {
    return own(backend.f32(shape).fill(Float.NaN));
  }

  private Tensor own(Tensor tensor) {
    tensors.add(tensor);
    return tensor;
  }

  /** Compares a result with {@code expected.<name>}. */
  void judge(String name, float[] found, long... shape) {
    TensorInfo info = require(EXPECTED + name, Set.of(DType.F32), shape);
    try (Tensor expected = checkpoint.read(info.name())) {
      verdicts.add(
          TensorVerdict.ofReals(info.name(), expected.toFloatArray(), found, tolerance(name)));
    }
    judged.add(info.name());
  }

  /** Compares a discrete result with {@code expected.<name>}, element by element. */
  void judge(String name, int[] found, long... shape) {
    TensorInfo info = require(EXPECTED + name, Set.of(DType.I32), shape);
    try (Tensor expected = checkpoint.read(info.name())) {
      verdicts.add(TensorVerdict.ofIntegers(info.name(), expected.toIntArray(), found));
    }
    judged.add(info.name());
  }

  /** What was compared, then the expected tensors that were not. */
  List<TensorVerdict> verdicts() {
    List<TensorVerdict> all = new ArrayList<>(verdicts);
    for (String name : checkpoint.names()) {
      if (name.startsWith(EXPECTED) && !judged.contains(name))
        all.add(TensorVerdict.notCompared(name));
    }
    return all;
  }

  private TensorInfo require(String name, Set<DType> types, long... shape) {
    TensorInfo info = checkpoint.find(name);
    if (info == null) throw fault(name, "this tensor", "none");
    if (info.dtype() == null || !types.contains(info.dtype()))
      throw fault(
          name,
          "one of the types " + types.stream().map(DType::toString).sorted().toList(),
          info.storedType());
    long[] found = info.shape();
    boolean agrees = found.length == shape.length;
    for (int i = 0; agrees && i < shape.length; i++)
      agrees = shape[i] == Tensor.ANY || shape[i] == found[i];
    if (!agrees) throw fault(name, words(shape), Arrays.toString(found));
    return info;
  }

  private static String words(long[] shape) {
    return Arrays.toString(shape).replace("-1", "any");
  }

  CheckpointException fault(String part, String expected, String found) {
    return new CheckpointException(file, part, expected, found);
  }

  private static String quoted(String value) {
    return '"' + value + '"';
  }

  @Override
  public void close() {
    tensors.forEach(Tensor::close);
    checkpoint.close();
  }
}
