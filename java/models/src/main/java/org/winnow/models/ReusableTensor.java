package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

/**
 * Working memory that grows on demand. Each step views it in the shape that it needs. A view holds
 * whatever the last use left there.
 */
final class ReusableTensor implements AutoCloseable {
  private final TensorMemory memory;
  private final DType dtype;
  private @Nullable Tensor tensor;

  /** Elements are f32. */
  ReusableTensor(TensorMemory memory) {
    this(memory, DType.F32);
  }

  ReusableTensor(TensorMemory memory, DType dtype) {
    this.memory = memory;
    this.dtype = dtype;
  }

  /** The first {@code size} elements; valid until a larger view is requested. */
  Tensor view(long size) {
    if (tensor == null || tensor.size() < size) {
      close();
      tensor = Tensor.allocate(memory, dtype, size);
    }
    return tensor.slice(0, size);
  }

  /** The first {@code rows * columns} elements; valid until a larger view is requested. */
  Tensor view(long rows, long columns) {
    return view(rows * columns).reshape(rows, columns);
  }

  @Override
  public void close() {
    if (tensor != null) tensor.close();
    tensor = null;
  }
}
