package org.winnow;

import java.util.Arrays;

/**
 * Memory for one intermediate result: it grows to the largest call and is reused by the next. Its
 * contents are whatever the last use left.
 *
 * <p>Growing releases the old memory before it takes the new. If that fails, the workspace is empty
 * and serves smaller calls again. On a device a release changes {@link TensorMemory#releases()}, so
 * that steps which were captured with the old memory are captured again; a step that is being
 * captured cannot grow a workspace: run it once before. For one thread at a time.
 */
public final class Workspace implements AutoCloseable {
  private final TensorMemory memory;
  private Tensor all;
  private Tensor view; // what get returned last

  /**
   * @param memory where the result lies: the backend's
   */
  public Workspace(TensorMemory memory) {
    this.memory = memory;
  }

  /**
   * A tensor of that type and shape; valid until a larger one or one of another type is asked for.
   * The same object as before where type and shape are the same.
   *
   * @throws BudgetException if it exceeds what the backend was allowed
   * @throws OutOfMemoryError if there is no memory for it
   */
  public Tensor get(DType dtype, long... shape) {
    if (view == null || view.dtype() != dtype || !Arrays.equals(view.shape(), shape))
      view = atLeast(dtype, Shape.elements(shape)).slice(0, Shape.elements(shape)).reshape(shape);
    return view;
  }

  /** As {@link #get(DType, long...)}; allocates nothing where the shape is the same. */
  public Tensor get(DType dtype, long rows, long columns) {
    Tensor last = view;
    if (last != null
        && last.dtype() == dtype
        && last.rank() == 2
        && last.dim(0) == rows
        && last.dim(1) == columns) return last;
    return get(dtype, new long[] {rows, columns});
  }

  /**
   * All of the memory, [at least numElements]: half as much again as before where it has to grow.
   * Valid as {@link #get}'s is.
   */
  public Tensor atLeast(DType dtype, long numElements) {
    if (all != null && all.dtype() == dtype && all.size() >= numElements) return all;
    long grown = all == null ? numElements : grown(all.size(), numElements);
    close();
    all = Tensor.allocate(memory, dtype, Math.max(1, grown));
    return all;
  }

  /** How large something becomes that is to hold so many elements and holds fewer now. */
  public static long grown(long capacity, long needed) {
    return Math.max(needed, capacity + capacity / 2);
  }

  /** What {@link #get} returned last; null before, and after {@link #close()}. */
  public Tensor last() {
    return view;
  }

  /** Where the results lie. */
  public TensorMemory memory() {
    return memory;
  }

  /** Releases the memory; it may be used again. May be called twice. */
  @Override
  public void close() {
    Tensor old = all;
    all = null;
    view = null;
    if (old != null) old.close();
  }
}
