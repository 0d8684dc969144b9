package org.winnow.op;

import static org.winnow.internal.Internals.address;

import java.lang.ref.Reference;
import java.nio.IntBuffer;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.Status;
import org.winnow.internal.TurnLock;

/**
 * Token-expert pairs in a stable order by expert: the token that each sorted row reads, and the
 * rows that each expert computes. Building is a counting sort of indices; no activations are moved.
 *
 * <p>A plan can be built again, which overwrites it. Tensors keep the size of the largest batch; a
 * tensor that is too small is replaced. On a device {@link #build} does not wait for the sort. The
 * first call that needs the active experts on the host waits and copies them. For one thread at a
 * time. Native contract: {@code expert_plan.h}.
 */
public final class ExpertPlan implements AutoCloseable {
  /** Held while tensors are replaced by larger ones. */
  private final TurnLock growth = new TurnLock("expert plan");

  /** The number of active experts before it is copied from the device. */
  private static final int NOT_READ_BACK = -1;

  private Tensor expertOffsets;
  private Tensor sourceRows;
  private Tensor assignmentRows;
  private MirroredTensor activeExperts;
  private int numTokens;
  private int numRows;
  private int numExperts = 1;
  private int numActiveExperts; // or NOT_READ_BACK
  private volatile boolean closed;

  /** A plan in host memory. */
  public ExpertPlan() {
    this(TensorMemory.host());
  }

  /**
   * @param memory where to allocate: the backend's memory
   */
  public ExpertPlan(TensorMemory memory) {
    Resources open = new Resources();
    try {
      expertOffsets = open.keep(Tensor.allocate(memory, DType.I32, 2));
      sourceRows = open.keep(Tensor.allocate(memory, DType.I32, 1));
      assignmentRows = open.keep(Tensor.allocate(memory, DType.I32, 1));
      activeExperts = open.keep(new MirroredTensor(memory, DType.I32, 1));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  /**
   * Sorts the pairs of a routing.
   *
   * @param numExperts more than any expert id of the routing
   * @throws IllegalArgumentException naming the first expert id that is not below numExperts (not
   *     checked for ids that an operation wrote on a device), or the argument that lies in another
   *     memory than the backend's; the plan is empty then
   * @throws IllegalStateException if the routing, the plan or the backend is closed, or another
   *     thread resizes the routing or the plan meanwhile
   */
  public void build(Backend backend, Routing routing, int numExperts) {
    if (numExperts < 1)
      throw new IllegalArgumentException("numExperts must be at least 1, found " + numExperts);
    reserve(routing.numRows(), numExperts);
    NativeCall call = NativeCall.enter();
    try {
      routing.requireOpen();
      requireOpen();
      TensorMemory memory = backend.memory();
      routing.requireIn(memory);
      requireIn(memory);
      ExpertPlanArguments arguments = call.arguments().expertPlan;
      Tensor expertIds =
          describe(routing, routing.numTokens(), routing.numRows(), numExperts, arguments);
      Status status = Internals.kernels(backend).expertPlan(arguments);
      if (status == Status.REFUSED) throw refused(expertIds, arguments);
      set(
          (int) arguments.numTokens(),
          (int) arguments.numRows(),
          status == Status.NOT_WAITED ? NOT_READ_BACK : (int) arguments.detail());
    } finally {
      call.exit();
      Reference.reachabilityFence(routing);
      Reference.reachabilityFence(this);
    }
  }

  /** Number of tokens of the routing. */
  public int numTokens() {
    return numTokens;
  }

  /** Number of token-expert pairs. */
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

  /** [numExperts] i32, ascending: the experts that have rows, then -1. */
  public Tensor activeExperts() {
    return activeExperts.tensor();
  }

  /** Number of experts that have rows. On a device the first call waits for the sort. */
  public int numActiveExperts() {
    int known = numActiveExperts; // once: another thread may discard it
    return known == NOT_READ_BACK ? readBack() : known;
  }

  /**
   * Upper bound of {@link #numActiveExperts()} that never waits. It is exact once the number is on
   * the host.
   */
  public int maxActiveExperts() {
    int known = numActiveExperts;
    return known == NOT_READ_BACK ? Math.min(numRows, numExperts) : known;
  }

  /** The i-th expert that has rows, in ascending order. */
  public int activeExpert(int i) {
    int count = numActiveExperts();
    if (i < 0 || i >= count)
      throw new IndexOutOfBoundsException("i must lie in [0, " + count + "), found " + i);
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      return activeExperts.ints().get(i);
    } finally {
      call.exit();
    }
  }

  /**
   * Discards the host's copy of the active experts. Call it after a captured step has run the sort
   * again.
   */
  public void forgetReadBack() {
    numActiveExperts = NOT_READ_BACK;
  }

  /**
   * Whether the active experts are on the host, so that {@link #numActiveExperts} does not wait.
   */
  public boolean isReadBack() {
    return numActiveExperts != NOT_READ_BACK;
  }

  /**
   * Copies the experts that have rows, ascending, and returns their number.
   *
   * @throws IndexOutOfBoundsException if the target is too short
   */
  public int copyActiveExperts(int[] target) {
    int count = numActiveExperts();
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      activeExperts.ints().get(0, target, 0, count);
      return count;
    } finally {
      call.exit();
    }
  }

  /** Waits for running operations, then releases the memory. May be called twice. */
  @Override
  public void close() {
    NativeCall.requireOutside();
    growth.lock();
    closed = true;
    growth.unlock();
    Resources.closeAll(expertOffsets, sourceRows, assignmentRows, activeExperts);
  }

  @Override
  public String toString() {
    return "plan of "
        + numRows
        + " rows for "
        + (isReadBack() ? "" : "at most ")
        + maxActiveExperts()
        + " of "
        + numExperts
        + " experts";
  }

  /**
   * Fills the arguments that plan a routing. Each tensor is asked for once and its size checked,
   * because another thread may replace it meanwhile.
   *
   * @param numRows at most so many
   * @return the expert ids, for messages
   * @throws IllegalStateException if another thread has done so
   */
  Tensor describe(
      Routing routing, int numTokens, int numRows, int numExperts, ExpertPlanArguments arguments) {
    Tensor tokenOffsets = routing.tokenOffsets();
    Tensor expertIds = routing.expertIds();
    Tensor expertOffsets = this.expertOffsets;
    Tensor sourceRows = this.sourceRows;
    Tensor assignmentRows = this.assignmentRows;
    Tensor activeExperts = this.activeExperts.tensor();
    if (tokenOffsets.size() <= numTokens
        || expertIds.size() < numRows
        || expertOffsets.size() <= numExperts
        || sourceRows.size() < numRows
        || assignmentRows.size() < numRows
        || activeExperts.size() < numExperts) {
      throw new IllegalStateException("another thread resized " + routing + " or " + this);
    }
    long tokenOffsetsAddress = address(tokenOffsets);
    long expertIdsAddress = address(expertIds);
    long expertOffsetsAddress = address(expertOffsets);
    long sourceRowsAddress = address(sourceRows);
    long assignmentRowsAddress = address(assignmentRows);
    long activeExpertsAddress = address(activeExperts);
    arguments
        .tokenOffsets(tokenOffsetsAddress)
        .expertIds(expertIdsAddress)
        .expertOffsets(expertOffsetsAddress)
        .sourceRows(sourceRowsAddress)
        .assignmentRows(assignmentRowsAddress)
        .activeExperts(activeExpertsAddress)
        .numTokens(numTokens)
        .numRows(numRows)
        .numExperts(numExperts)
        .trusted(routing.isRouted() ? 1 : 0);
    return expertIds;
  }

  /** Records that a device is planning this routing and that the result is not on the host. */
  void setNotReadBack(Routing routing) {
    set(routing.numTokens(), routing.numRows(), NOT_READ_BACK);
  }

  /** Records a plan of this routing. */
  void set(Routing routing, int active) {
    set(routing.numTokens(), routing.numRows(), active);
  }

  private void set(int tokens, int rows, int active) {
    numTokens = tokens;
    numRows = rows;
    numActiveExperts = active;
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("expert plan is closed");
  }

  void requireIn(TensorMemory expected) {
    expertOffsets.requireIn("plan", expected);
  }

  private int readBack() {
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      MirroredTensor present = activeExperts;
      present.toHost();
      IntBuffer active = present.ints();
      int count = 0;
      while (count < active.capacity() && active.get(count) >= 0) count++;
      numActiveExperts = count;
      return count;
    } finally {
      call.exit();
    }
  }

  /**
   * Makes room and discards the last plan. Must not be called inside a native call, because it may
   * free memory. If an allocation fails, the plan is empty and keeps its size.
   */
  void reserve(int rows, int experts) {
    requireOpen();
    numTokens = 0;
    numRows = 0;
    numActiveExperts = 0;
    if (sourceRows.size() >= rows && assignmentRows.size() >= rows && numExperts == experts) return;
    growth.lock();
    try {
      requireOpen();
      sourceRows = grown(sourceRows, rows);
      assignmentRows = grown(assignmentRows, rows);
      if (numExperts != experts) resize(experts);
    } finally {
      growth.unlock();
    }
  }

  private void resize(int experts) {
    TensorMemory memory = expertOffsets.memory();
    Tensor offsets = Tensor.allocate(memory, DType.I32, experts + 1L);
    MirroredTensor active;
    try {
      active = new MirroredTensor(memory, DType.I32, experts);
    } catch (RuntimeException | Error e) {
      offsets.close();
      throw e;
    }
    expertOffsets.close();
    activeExperts.close();
    expertOffsets = offsets;
    activeExperts = active;
    numExperts = experts;
  }

  /** As {@link MirroredTensor#grown}, for a tensor that the host does not read. */
  private static Tensor grown(Tensor tensor, long size) {
    if (tensor.size() >= size) return tensor;
    Tensor larger =
        Tensor.allocate(tensor.memory(), tensor.dtype(), Workspace.grown(tensor.size(), size));
    tensor.close();
    return larger;
  }

  private IllegalArgumentException refused(Tensor expertIds, ExpertPlanArguments arguments) {
    long pair = arguments.detail();
    if (pair == arguments.numRows())
      return new IllegalArgumentException("tokenOffsets must ascend from 0 to " + pair);
    int found = expertIds.getInt(pair);
    return new IllegalArgumentException(
        "expertIds must lie in [0, "
            + arguments.numExperts()
            + "), found "
            + found
            + " at pair "
            + pair);
  }
}
