package org.winnow.models;

import org.winnow.Tensor;

/** Working memory that grows: f32, of the shape that a step needs. Its contents are whatever the last use left. */
final class ReusableTensor implements AutoCloseable {
  private Tensor memory;

  /** The first {@code rows * columns} elements; valid until a larger view is asked for. */
  Tensor view(long rows, long columns) {
    long size = rows * columns;
    if (memory == null || memory.size() < size) {
      close();
      memory = Tensor.f32(size);
    }
    return memory.slice(0, size).reshape(rows, columns);
  }

  @Override
  public void close() {
    if (memory != null) memory.close();
    memory = null;
  }
}
