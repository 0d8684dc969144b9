package org.winnow;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Memory for one intermediate result. It grows to the size of the largest call, and later calls
 * reuse it. The contents are undefined.
 *
 * <p>Growing releases the old memory, then allocates the new. If the allocation fails, the
 * workspace is empty and can still serve smaller calls. On a device each release changes {@link
 * TensorMemory#releases()}, so steps captured with the old memory must be captured again. A
 * workspace cannot grow while a step is being captured: run the step once before. For one thread at
 * a time.
 */
public final class Workspace implements AutoCloseable {
  private final TensorMemory memory;
  private @Nullable Tensor all;
  private @Nullable Tensor view; // the last result of get

  /**
   * @param memory where to allocate: the backend's memory
   */
  public Workspace(TensorMemory memory) {
    this.memory = memory;
  }

  /**
   * A tensor of that type and shape. It stays valid until a call asks for a larger tensor or for
   * another type. A call with the same type and shape as the last one returns the same object.
   *
   * @throws BudgetException if it exceeds what the backend was allowed
   * @throws OutOfMemoryError if there is no memory for it
   */
  public Tensor get(DType dtype, long... shape) {
    if (view == null || view.dtype() != dtype || !Arrays.equals(view.shape(), shape))
      view = atLeast(dtype, Shape.elements(shape)).slice(0, Shape.elements(shape)).reshape(shape);
    return view;
  }

  /**
   * As {@link #get(DType, long...)}. Allocates no Java object if type and shape are those of the
   * last call.
   */
  public Tensor get(DType dtype, long rows, long columns) {
    @Nullable Tensor last = view;
    if (last != null
        && last.dtype() == dtype
        && last.rank() == 2
        && last.dim(0) == rows
        && last.dim(1) == columns) return last;
    return get(dtype, new long[] {rows, columns});
  }

  /**
   * All of the memory, [at least numElements]. Growing adds at least half of the old size. Valid as
   * long as the result of {@link #get}.
   */
  public Tensor atLeast(DType dtype, long numElements) {
    @Nullable Tensor present = all;
    long size = numElements;
    if (present != null && present.dtype() == dtype) {
      if (present.size() >= numElements) return present;
      size = grown(present.size(), numElements);
    }
    close();
    Tensor larger = Tensor.allocate(memory, dtype, Math.max(1, size));
    all = larger;
    return larger;
  }

  /**
   * The new capacity of an array that must grow from {@code capacity} to at least {@code needed}:
   * the larger of {@code needed} and 1.5 times {@code capacity}.
   */
  public static long grown(long capacity, long needed) {
    return Math.max(needed, capacity + capacity / 2);
  }

  /** The last result of {@link #get}; null before the first call and after {@link #close()}. */
  public @Nullable Tensor last() {
    return view;
  }

  /** The memory that holds the results. */
  public TensorMemory memory() {
    return memory;
  }

  /** Releases the memory. The workspace can be used again afterwards. May be called twice. */
  @Override
  public void close() {
    @Nullable Tensor old = all;
    all = null;
    view = null;
    if (old != null) old.close();
  }
}
