package org.winnow.models;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

/**
 * Working memory that grows, of the shape that a step needs. Its contents are whatever the last use
 * left.
 */
final class ReusableTensor implements AutoCloseable {
  private final TensorMemory memory;
  private final DType dtype;
  private Tensor tensor;

  /** Of f32. */
  ReusableTensor(TensorMemory memory) {
    this(memory, DType.F32);
  }

  ReusableTensor(TensorMemory memory, DType dtype) {
    this.memory = memory;
    this.dtype = dtype;
  }

  /** The first elements; valid until a larger view is asked for. */
  Tensor view(long size) {
    if (tensor == null || tensor.size() < size) {
      close();
      tensor = Tensor.allocate(memory, dtype, size);
    }
    return tensor.slice(0, size);
  }

  /** The first {@code rows * columns} elements; valid until a larger view is asked for. */
  Tensor view(long rows, long columns) {
    return view(rows * columns).reshape(rows, columns);
  }

  @Override
  public void close() {
    if (tensor != null) tensor.close();
    tensor = null;
  }
}
