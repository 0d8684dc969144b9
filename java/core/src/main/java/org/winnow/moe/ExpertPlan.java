package org.winnow.moe;

import java.lang.ref.Reference;
import java.nio.IntBuffer;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.NativeCalls;

/**
 * Token-expert pairs sorted by expert, stably: which token each sorted row reads, and which rows
 * each expert computes. A counting sort; no activation is moved.
 *
 * <p>The tensors are as large as the largest batch so far. Reusable: building again overwrites, and
 * replaces a tensor that is too small. For one thread at a time. Native contract: {@code
 * expert_plan.h}.
 */
public final class ExpertPlan implements AutoCloseable {
  private Tensor expertOffsets = Tensor.allocate(DType.I32, 2);
  private Tensor sourceRows = Tensor.allocate(DType.I32, 1);
  private Tensor assignmentRows = Tensor.allocate(DType.I32, 1);
  private Tensor activeExperts = Tensor.allocate(DType.I32, 1);
  private IntBuffer active = activeExperts.asByteBuffer().asIntBuffer();
  private int numTokens;
  private int numRows;
  private int numExperts = 1;
  private int numActiveExperts;
  private volatile boolean closed;

  /**
   * Sorts a routing's pairs.
   *
   * @param numExperts more than any expert id of the routing
   * @throws IllegalArgumentException naming the first expert id that is not below numExperts; the
   *     plan is empty then
   * @throws IllegalStateException if the routing, the plan or the backend is closed
   */
  public void build(Backend backend, Routing routing, int numExperts) {
    if (numExperts < 1)
      throw new IllegalArgumentException("numExperts must be at least 1, found " + numExperts);
    reserve(routing.numRows(), numExperts);
    int ticket = NativeCalls.enter();
    try {
      routing.requireOpen();
      requireOpen();
      long active = backend.expertPlan(routing, this);
      if (active < 0) throw refused(routing, (int) (-1 - active));
      numTokens = routing.numTokens();
      numRows = routing.numRows();
      numActiveExperts = (int) active;
    } finally {
      NativeCalls.exit(ticket);
      Reference.reachabilityFence(routing);
      Reference.reachabilityFence(this);
    }
  }

  /** Tokens of the routing. */
  public int numTokens() {
    return numTokens;
  }

  /** Token-expert pairs. */
  public int numRows() {
    return numRows;
  }

  public int numExperts() {
    return numExperts;
  }

  /** [numExperts + 1] i32: exclusive prefix sum of rows per expert. */
  public Tensor expertOffsets() {
    return expertOffsets;
  }

  /** [at least numRows] i32: the token that each sorted row reads. */
  public Tensor sourceRows() {
    return sourceRows;
  }

  /** [at least numRows] i32: the sorted row of each pair in token order. */
  public Tensor assignmentRows() {
    return assignmentRows;
  }

  /**
   * [numExperts] i32, ascending: the experts that have rows; the first {@link #numActiveExperts()}
   * count.
   */
  public Tensor activeExperts() {
    return activeExperts;
  }

  /** Experts that have rows. */
  public int numActiveExperts() {
    return numActiveExperts;
  }

  /** The i-th expert that has rows, in ascending order. */
  public int activeExpert(int i) {
    if (i < 0 || i >= numActiveExperts)
      throw new IndexOutOfBoundsException(
          "i must lie in [0, " + numActiveExperts + "), found " + i);
    int ticket = NativeCalls.enter();
    try {
      requireOpen();
      return active.get(i);
    } finally {
      NativeCalls.exit(ticket);
    }
  }

  /** Copies the experts that have rows, ascending, and returns their number. */
  int copyActiveExperts(int[] target) {
    int ticket = NativeCalls.enter();
    try {
      requireOpen();
      active.get(0, target, 0, numActiveExperts);
      return numActiveExperts;
    } finally {
      NativeCalls.exit(ticket);
    }
  }

  /** Releases the memory; may be called twice, and waits for operations that are running. */
  @Override
  public void close() {
    closed = true;
    expertOffsets.close();
    sourceRows.close();
    assignmentRows.close();
    activeExperts.close();
  }

  @Override
  public String toString() {
    return "plan of "
        + numRows
        + " rows for "
        + numActiveExperts
        + " of "
        + numExperts
        + " experts";
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("expert plan is closed");
  }

  private void reserve(int rows, int experts) {
    requireOpen();
    numTokens = 0;
    numRows = 0;
    numActiveExperts = 0;
    if (sourceRows.dim(0) < rows) {
      sourceRows = Routing.grown(sourceRows, rows);
      assignmentRows = Routing.grown(assignmentRows, rows);
    }
    if (numExperts != experts) {
      expertOffsets.close();
      activeExperts.close();
      expertOffsets = Tensor.allocate(DType.I32, experts + 1L);
      activeExperts = Tensor.allocate(DType.I32, experts);
      active = activeExperts.asByteBuffer().asIntBuffer();
      numExperts = experts;
    }
  }

  private IllegalArgumentException refused(Routing routing, int pair) {
    if (pair == routing.numRows())
      return new IllegalArgumentException("tokenOffsets must ascend from 0 to " + pair);
    int found = routing.expertIds().getInt(pair);
    return new IllegalArgumentException(
        "expertIds must lie in [0, " + numExperts + "), found " + found + " at pair " + pair);
  }
}
