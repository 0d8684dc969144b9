package org.winnow.op;

import java.nio.IntBuffer;
import java.util.Arrays;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TurnLock;

/**
 * A router's choices for a batch of tokens: per token any number of experts, best first, each with
 * a weight.
 *
 * <p>Token t has the choices {@code tokenOffsets[t]} to {@code tokenOffsets[t + 1]} (exclusive).
 * Only the first {@link #numRows()} expert ids and weights are valid. A routing can be reused,
 * which overwrites it. Tensors keep the size of the largest batch; a tensor that is too small is
 * replaced. For one thread at a time.
 */
public final class Routing implements AutoCloseable {
  /** Whoever fills this holds it, from making room to recording the sizes. */
  final TurnLock lock = new TurnLock("routing");

  private MirroredTensor tokenOffsets;
  private MirroredTensor expertIds;
  private MirroredTensor routingWeights;
  private boolean[] listed = {};
  private boolean routed;
  private int numTokens;
  private int numRows;
  private volatile boolean closed;

  /** A routing in host memory. */
  public Routing() {
    this(TensorMemory.host());
  }

  /**
   * @param memory where to allocate: the backend's memory
   */
  public Routing(TensorMemory memory) {
    Resources open = new Resources();
    try {
      tokenOffsets = open.keep(new MirroredTensor(memory, DType.I32, 1));
      expertIds = open.keep(new MirroredTensor(memory, DType.I32, 1));
      routingWeights = open.keep(new MirroredTensor(memory, DType.F32, 1));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  /** Number of tokens of the last batch. */
  public int numTokens() {
    return numTokens;
  }

  /** Number of token-expert pairs of the last batch. */
  public int numRows() {
    return numRows;
  }

  /**
   * Whether an operation wrote these choices. Operations trust such choices; those given to {@link
   * #set(int[], int[], float[])} they check.
   */
  public boolean isRouted() {
    return routed;
  }

  /** [at least numTokens + 1] i32: exclusive prefix sum of choices per token. */
  public Tensor tokenOffsets() {
    return tokenOffsets.tensor();
  }

  /** [at least numRows] i32: choices by token, best first. */
  public Tensor expertIds() {
    return expertIds.tensor();
  }

  /** [at least numRows] f32: their weights. */
  public Tensor routingWeights() {
    return routingWeights.tensor();
  }

  /**
   * Overwrites this with the given choices, for a router outside Winnow.
   *
   * @param tokenOffsets [numTokens + 1], ascending from 0 to the number of pairs
   * @param expertIds [numRows], none negative
   * @param routingWeights [numRows]
   * @throws IllegalArgumentException naming the argument that is wrong; nothing has changed then
   */
  public void set(int[] tokenOffsets, int[] expertIds, float[] routingWeights) {
    int rows = expertIds.length;
    boolean ascending =
        tokenOffsets.length > 0
            && tokenOffsets[0] == 0
            && tokenOffsets[tokenOffsets.length - 1] == rows;
    for (int t = 1; t < tokenOffsets.length; t++)
      ascending &= tokenOffsets[t - 1] <= tokenOffsets[t];
    if (!ascending)
      throw new IllegalArgumentException("tokenOffsets must ascend from 0 to " + rows);
    if (routingWeights.length != rows) {
      throw new IllegalArgumentException(
          "routingWeights must be [" + rows + "], found [" + routingWeights.length + "]");
    }
    for (int expert : expertIds) {
      if (expert < 0)
        throw new IllegalArgumentException("expertIds must not be negative, found " + expert);
    }
    lock.lock();
    try {
      reserve(tokenOffsets.length - 1, rows);
      this.tokenOffsets.tensor().slice(0, tokenOffsets.length).copyFrom(tokenOffsets);
      this.expertIds.tensor().slice(0, rows).copyFrom(expertIds);
      this.routingWeights.tensor().slice(0, rows).copyFrom(routingWeights);
      numTokens = tokenOffsets.length - 1;
      numRows = rows;
    } finally {
      lock.unlock();
    }
  }

  /**
   * The distinct experts of the batch, ordered for reading ahead: all tokens' first choices, then
   * all second choices, and so on.
   *
   * @param ids overwritten from the beginning
   * @return their number
   * @throws IllegalArgumentException if {@code ids} is shorter than the number of experts
   * @throws IllegalStateException if somebody has overwritten the tensors, so that they no longer
   *     fit together
   */
  public int distinctExperts(int[] ids) {
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      readBack();
      IntBuffer offsets = tokenOffsets.ints();
      IntBuffer chosen = expertIds.ints();
      if (listed.length < ids.length) listed = new boolean[ids.length];
      Arrays.fill(listed, false);
      int count = 0;
      int left = numRows;
      for (int slot = 0; left > 0; slot++) {
        int before = left;
        for (int token = 0; token < numTokens; token++) {
          int row = offsets.get(token) + slot;
          if (row < 0 || row >= Math.min(offsets.get(token + 1), numRows)) continue;
          left--;
          int expert = chosen.get(row);
          if (expert < 0 || expert >= ids.length)
            throw new IllegalArgumentException(
                "ids must have an entry per expert, found " + ids.length + " and expert " + expert);
          if (listed[expert]) continue;
          listed[expert] = true;
          ids[count++] = expert;
        }
        if (left == before)
          throw new IllegalStateException("tokenOffsets of the routing were overwritten");
      }
      return count;
    } finally {
      call.exit();
    }
  }

  /** Waits for running operations, then releases the memory. May be called twice. */
  @Override
  public void close() {
    NativeCall.requireOutside();
    closed = true;
    Resources.closeAll(tokenOffsets, expertIds, routingWeights);
  }

  @Override
  public String toString() {
    return "routing of " + numTokens + " tokens to " + numRows + " rows";
  }

  /**
   * Makes room and discards the last choices. Must not be called inside a native call, because it
   * may free memory.
   */
  void reserve(int tokens, int rows) {
    requireOpen();
    numTokens = 0;
    numRows = 0;
    routed = false;
    tokenOffsets = tokenOffsets.grown(tokens + 1L);
    expertIds = expertIds.grown(rows);
    routingWeights = routingWeights.grown(rows);
  }

  /** Records the sizes after a router has written its choices. */
  void set(int tokens, int rows) {
    routed = true;
    numTokens = tokens;
    numRows = rows;
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("routing is closed");
  }

  void requireIn(TensorMemory expected) {
    tokenOffsets.tensor().requireIn("routing", expected);
  }

  private void readBack() {
    tokenOffsets.toHost();
    expertIds.toHost();
    routingWeights.toHost();
  }
}
