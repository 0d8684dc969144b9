package org.winnow.op;

import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.Status;
import static org.winnow.internal.Internals.address;
import org.winnow.internal.Internals;

import org.winnow.moe.Experts;
import java.lang.ref.Reference;
import java.nio.IntBuffer;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;

/**
 * Token-expert pairs sorted by expert, stably: which token each sorted row reads, and which rows
 * each expert computes. A counting sort; no activation is moved.
 *
 * <p>The tensors are as large as the largest batch so far. Reusable: building again overwrites, and
 * replaces a tensor that is too small. On a device nothing waits for the sort: which experts are
 * active is fetched when it is first asked for. For one thread at a time. Native contract: {@code
 * expert_plan.h}.
 */
public final class ExpertPlan implements AutoCloseable {
  /** The number of active experts while it has not been fetched from a device. */
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

  /** For backends that compute in the host's memory. */
  public ExpertPlan() {
    this(TensorMemory.host());
  }

  /**
   * @param memory where the tensors lie: the backend's
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
   * Sorts a routing's pairs.
   *
   * @param numExperts more than any expert id of the routing
   * @throws IllegalArgumentException naming the first expert id that is not below numExperts (a
   *     device trusts the ids that lie in its memory), or the argument that lies in another memory
   *     than the backend's; the plan is empty then
   * @throws IllegalStateException if the routing, the plan or the backend is closed
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
      describe(routing, arguments);
      Status status = Internals.kernels(backend).expertPlan(arguments);
      if (status == Status.REFUSED) throw refused(routing, (int) arguments.detail());
      set(routing, status == Status.NOT_WAITED ? NOT_READ_BACK : (int) arguments.detail());
    } finally {
      call.exit();
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

  /** [numExperts] i32, ascending: the experts that have rows, then -1. */
  public Tensor activeExperts() {
    return activeExperts.tensor();
  }

  /** Experts that have rows. On a device the first call waits for the sort. */
  public int numActiveExperts() {
    if (numActiveExperts == NOT_READ_BACK) readBack();
    return numActiveExperts;
  }

  /**
   * How many entries of {@link #activeExperts()} an operation needs to look at: their number where
   * it is known without waiting, otherwise the most that there can be.
   */
  public int maxActiveExperts() {
    return isReadBack() ? numActiveExperts : Math.min(numRows, numExperts);
  }

  /** The i-th expert that has rows, in ascending order. */
  public int activeExpert(int i) {
    if (i < 0 || i >= numActiveExperts())
      throw new IndexOutOfBoundsException(
          "i must lie in [0, " + numActiveExperts + "), found " + i);
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      return activeExperts.ints().get(i);
    } finally {
      call.exit();
    }
  }

  /**
   * Has the active experts fetched again when they are next asked for: a captured sort that has run
   * again has written others.
   */
  public void forgetReadBack() {
    numActiveExperts = NOT_READ_BACK;
  }

  /** Whether {@link #numActiveExperts} and the like answer without waiting. */
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

  /** Releases the memory; may be called twice, and waits for operations that are running. */
  @Override
  public void close() {
    NativeCall.requireOutside();
    closed = true;
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

  /** What a backend gets to plan a routing. */
  void describe(Routing routing, ExpertPlanArguments arguments) {
    arguments
        .tokenOffsets(address(routing.tokenOffsets()))
        .expertIds(address(routing.expertIds()))
        .expertOffsets(address(expertOffsets))
        .sourceRows(address(sourceRows))
        .assignmentRows(address(assignmentRows))
        .activeExperts(address(activeExperts.tensor()))
        .numTokens(routing.numTokens())
        .numRows(routing.numRows())
        .numExperts(numExperts)
        .trusted(routing.isRouted() ? 1 : 0);
  }

  /** After a device has planned this routing without being waited for. */
  void setNotReadBack(Routing routing) {
    set(routing, NOT_READ_BACK);
  }

  private void set(Routing routing, int active) {
    numTokens = routing.numTokens();
    numRows = routing.numRows();
    numActiveExperts = active;
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("expert plan is closed");
  }

  void requireIn(TensorMemory expected) {
    expertOffsets.requireIn("plan", expected);
  }

  private void readBack() {
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      activeExperts.toHost();
      IntBuffer active = activeExperts.ints();
      int count = 0;
      while (count < numExperts && active.get(count) >= 0) count++;
      numActiveExperts = count;
    } finally {
      call.exit();
    }
  }

  /**
   * Makes room; what was planned before is lost. Not from inside a native call: it may free memory.
   * Where there is no room, the plan is empty and stays as large as it was.
   */
  void reserve(int rows, int experts) {
    requireOpen();
    numTokens = 0;
    numRows = 0;
    numActiveExperts = 0;
    sourceRows = grown(sourceRows, rows);
    assignmentRows = grown(assignmentRows, rows);
    if (numExperts == experts) return;
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

  /** As {@link MirroredTensor#grown}, of a tensor that the host does not read. */
  private static Tensor grown(Tensor tensor, long size) {
    if (tensor.size() >= size) return tensor;
    Tensor larger =
        Tensor.allocate(tensor.memory(), tensor.dtype(), Workspace.grown(tensor.size(), size));
    tensor.close();
    return larger;
  }

  private IllegalArgumentException refused(Routing routing, int pair) {
    if (pair == routing.numRows())
      return new IllegalArgumentException("tokenOffsets must ascend from 0 to " + pair);
    int found = routing.expertIds().getInt(pair);
    return new IllegalArgumentException(
        "expertIds must lie in [0, " + numExperts + "), found " + found + " at pair " + pair);
  }
}
