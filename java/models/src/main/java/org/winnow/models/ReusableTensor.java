package org.winnow.models;

import org.winnow.DType;
import org.winnow.Tensor;

/**
 * Working memory that grows, of the shape that a step needs. Its contents are whatever the last use
 * left.
 */
final class ReusableTensor implements AutoCloseable {
  private final DType dtype;
  private Tensor memory;

  /** Of f32. */
  ReusableTensor() {
    this(DType.F32);
  }

  ReusableTensor(DType dtype) {
    this.dtype = dtype;
  }

  /** The first elements; valid until a larger view is asked for. */
  Tensor view(long size) {
    if (memory == null || memory.size() < size) {
      close();
      memory = Tensor.allocate(dtype, size);
    }
    return memory.slice(0, size);
  }

  /** The first {@code rows * columns} elements; valid until a larger view is asked for. */
  Tensor view(long rows, long columns) {
    return view(rows * columns).reshape(rows, columns);
  }

  @Override
  public void close() {
    if (memory != null) memory.close();
    memory = null;
  }
}
