package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.address;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.ActiveColumnsArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.MirroredTensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.Status;
import org.winnow.internal.TurnLock;

/**
 * The FFN columns that each token of a batch computes, ascending, each with a scale if the rule has
 * one. A controller's logits and a {@link ColumnRule} decide; this needs none of the weights that
 * the columns stand for.
 *
 * <p>Token t has the first {@code columnCounts[t]} columns of row t. Lists can be chosen again,
 * which overwrites them. Tensors keep the size of the largest batch; a tensor that is too small is
 * replaced. For one thread at a time. Native contract: {@code active_columns.h}.
 */
public final class ActiveColumns implements AutoCloseable {
  private final TurnLock lock = new TurnLock("active columns");
  private MirroredTensor columnCounts;
  private MirroredTensor activeColumns;
  private MirroredTensor columnScales;
  private int numTokens;
  private int numColumns;
  private int capacity;
  private boolean scaled;
  private volatile boolean closed;

  /** Lists in host memory. */
  public ActiveColumns() {
    this(TensorMemory.host());
  }

  /**
   * @param memory where to allocate: the backend's memory
   */
  public ActiveColumns(TensorMemory memory) {
    Resources open = new Resources();
    try {
      columnCounts = open.keep(new MirroredTensor(memory, DType.I32, 1));
      activeColumns = open.keep(new MirroredTensor(memory, DType.I32, 1));
      columnScales = open.keep(new MirroredTensor(memory, DType.F32, 1));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  /**
   * Chooses the columns of every token.
   *
   * @param logits [numTokens, numColumns] f32
   * @param bias [numColumns] f32, added to the logits of each token, or null
   * @throws IllegalArgumentException naming the argument whose shape, type or memory is wrong;
   *     nothing has run then
   * @throws InvalidLogitsException naming the first token whose logits hold a NaN; the lists are
   *     empty then
   * @throws IllegalStateException if a tensor, this or the backend is closed
   */
  public void choose(Backend backend, Tensor logits, @Nullable Tensor bias, ColumnRule rule) {
    lock.lock();
    try {
      logits.require("logits", F32, ANY, ANY);
      int most = rule.maxActive(logits.dim(1));
      reserve(Math.toIntExact(logits.dim(0)), most);
      NativeCall call = NativeCall.enter();
      try {
        TensorMemory memory = backend.memory();
        logits.requireIn("logits", memory);
        requireOpen();
        requireIn(memory);
        ActiveColumnsArguments arguments = call.arguments().activeColumns;
        long biasAddress = 0;
        if (bias != null) {
          bias.require("bias", F32, logits.dim(1));
          bias.requireIn("bias", memory);
          biasAddress = argument(bias);
        }
        rule.describe(logits.dim(1), arguments);
        arguments
            .logits(address(logits))
            .bias(biasAddress)
            .columnCounts(address(columnCounts.tensor()))
            .activeColumns(address(activeColumns.tensor()))
            .columnScales(rule.isScaled() ? address(columnScales.tensor()) : 0)
            .numTokens(logits.dim(0))
            .capacity(most);
        Status status = Internals.kernels(backend).activeColumns(arguments);
        if (status == Status.REFUSED) throw new InvalidLogitsException(arguments.detail());
        set((int) logits.dim(0), (int) logits.dim(1), most, rule.isScaled());
      } finally {
        call.exit();
        Reference.reachabilityFence(logits);
        Reference.reachabilityFence(bias);
        Reference.reachabilityFence(this);
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * Overwrites this with the given lists, for a controller outside Winnow.
   *
   * @param numColumns of the layer
   * @param columns by token, ascending within [0, numColumns)
   * @throws IllegalArgumentException naming the token whose list is wrong; nothing has changed then
   */
  public void set(int numColumns, int[]... columns) {
    if (numColumns < 1)
      throw new IllegalArgumentException("numColumns must be at least 1, found " + numColumns);
    int most = 1;
    for (int t = 0; t < columns.length; t++) {
      int before = -1;
      for (int column : columns[t]) {
        if (column <= before || column >= numColumns)
          throw new IllegalArgumentException(
              "columns of token "
                  + t
                  + " must ascend within [0, "
                  + numColumns
                  + "), found "
                  + column
                  + " after "
                  + before);
        before = column;
      }
      most = Math.max(most, columns[t].length);
    }
    int[] counts = new int[columns.length];
    int[] lists = new int[Math.multiplyExact(columns.length, most)];
    for (int t = 0; t < columns.length; t++) {
      counts[t] = columns[t].length;
      System.arraycopy(columns[t], 0, lists, t * most, counts[t]);
    }
    lock.lock();
    try {
      reserve(columns.length, most);
      if (counts.length > 0) {
        columnCounts.tensor().slice(0, counts.length).copyFrom(counts);
        activeColumns.tensor().slice(0, lists.length).copyFrom(lists);
      }
      set(counts.length, numColumns, most, false);
    } finally {
      lock.unlock();
    }
  }

  /** Number of tokens of the last batch. */
  public int numTokens() {
    return numTokens;
  }

  /** Number of columns of the layer. */
  public int numColumns() {
    return numColumns;
  }

  /** Columns of a row of {@link #activeColumns()}. */
  public int capacity() {
    return capacity;
  }

  /** Whether the columns have scales. */
  public boolean isScaled() {
    return scaled;
  }

  /** [at least numTokens] i32: the number of columns of each token. */
  public Tensor columnCounts() {
    return columnCounts.tensor();
  }

  /** [at least numTokens * capacity] i32: the columns by token, ascending. */
  public Tensor activeColumns() {
    return activeColumns.tensor();
  }

  /** [at least numTokens * capacity] f32: their scales, if they have any. */
  public Tensor columnScales() {
    return columnScales.tensor();
  }

  /**
   * The columns of one token, ascending. On a device this waits for them.
   *
   * @throws IndexOutOfBoundsException if there is no such token
   */
  public int[] columnsOf(int token) {
    if (token < 0 || token >= numTokens)
      throw new IndexOutOfBoundsException(
          "token must lie in [0, " + numTokens + "), found " + token);
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      columnCounts.toHost();
      activeColumns.toHost();
      int count = Math.max(0, Math.min(columnCounts.ints().get(token), capacity));
      int[] columns = new int[count];
      activeColumns.ints().get(token * capacity, columns);
      return columns;
    } finally {
      call.exit();
    }
  }

  /** Waits for running operations, then releases the memory. May be called twice. */
  @Override
  public void close() {
    NativeCall.requireOutside();
    closed = true;
    Resources.closeAll(columnCounts, activeColumns, columnScales);
  }

  @Override
  public String toString() {
    return "active columns of " + numTokens + " tokens, at most " + capacity + " of " + numColumns;
  }

  private void reserve(int tokens, int most) {
    requireOpen();
    numTokens = 0;
    int size = Math.multiplyExact(tokens, most);
    columnCounts = columnCounts.grown(tokens);
    activeColumns = activeColumns.grown(size);
    columnScales = columnScales.grown(size);
  }

  private void set(int tokens, int columns, int most, boolean scales) {
    numTokens = tokens;
    numColumns = columns;
    capacity = most;
    scaled = scales;
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("active columns are closed");
  }

  void requireIn(TensorMemory expected) {
    columnCounts.tensor().requireIn("active columns", expected);
  }
}
