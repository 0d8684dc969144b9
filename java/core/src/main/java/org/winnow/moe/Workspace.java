package org.winnow.moe;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

/** Memory that grows with the batch. */
final class Workspace implements AutoCloseable {
  private final TensorMemory memory;
  private Tensor tensor;
  private Tensor view;

  Workspace(TensorMemory memory) {
    this.memory = memory;
  }

  /** Of this type and width, with at least so many rows. */
  Tensor atLeast(DType dtype, long rows, long columns) {
    if (tensor == null || tensor.dtype() != dtype || tensor.dim(0) < rows) {
      close();
      tensor = Tensor.allocate(memory, dtype, Math.max(rows, 1), columns);
    }
    return tensor;
  }

  /** The same with exactly so many rows; a new view only when their number changes. */
  Tensor exactly(DType dtype, long rows, long columns) {
    Tensor all = atLeast(dtype, rows, columns);
    if (view == null || view.dim(0) != rows) view = all.slice(0, rows);
    return view;
  }

  /** What {@link #exactly} returned last; null before. */
  Tensor view() {
    return view;
  }

  /** Gives the memory up; a larger one may follow, or fail to be had. */
  @Override
  public void close() {
    if (tensor != null) tensor.close();
    tensor = null;
    view = null;
  }
}
