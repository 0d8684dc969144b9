package org.winnow;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Objects;
import java.util.function.Consumer;
import org.bytedeco.javacpp.Pointer;
import org.jspecify.annotations.Nullable;
import org.winnow.internal.NativeCall;
import org.winnow.internal.NativeLoader;
import org.winnow.internal.RawMemory;
import org.winnow.internal.Release;

/**
 * A dense row-major array outside the Java heap. It owns its memory, is a view of another tensor,
 * or wraps the caller's memory.
 *
 * <p>Closing a tensor waits for running operations and frees the memory that the tensor owns. It
 * may be called twice. Every later use throws {@link IllegalStateException}. A view shares the
 * memory of the tensor that it was made from and is closed with it. A tensor that was not closed
 * frees its memory after it and all its views have been collected. That may be late, because the
 * garbage collector does not see how large this memory is.
 *
 * <p>As with any array, the caller must synchronise threads that read and write the same elements.
 */
public final class Tensor implements AutoCloseable {
  /** Matches any extent in an expected shape. */
  public static final long ANY = -1;

  private final TensorMemory memory;
  private final long address;
  private final DType dtype;
  private final long[] shape;
  private final long size;
  private final @Nullable Tensor parent; // owner of a view's memory, or null
  private final @Nullable Object keepAlive; // the caller's buffer, or null
  private final @Nullable LentMemory lent; // how it is freed; null for a view
  private final @Nullable Release release; // of memory that it owns, or null
  private volatile @Nullable ByteBuffer bytes; // what bytes() makes copies of, or null
  private volatile boolean closed;

  private Tensor(
      TensorMemory memory,
      long address,
      DType dtype,
      long[] shape,
      @Nullable Tensor parent,
      @Nullable Object keepAlive,
      boolean owned) {
    this.memory = memory;
    this.address = address;
    this.dtype = dtype;
    this.shape = shape;
    this.size = Shape.elements(shape);
    this.parent = parent;
    this.keepAlive = keepAlive;
    this.lent =
        parent != null ? null : lendable(memory.raw(), address, sizeBytes(), owned, keepAlive);
    this.release = owned ? new Release(this, Objects.requireNonNull(lent)::close) : null;
  }

  /** Refers to the memory and not to the tensor. */
  private static LentMemory lendable(
      RawMemory raw, long address, long sizeBytes, boolean owned, @Nullable Object callers) {
    return new LentMemory(
        owned ? () -> raw.free(address, sizeBytes) : () -> Reference.reachabilityFence(callers));
  }

  /**
   * A new tensor of zeros in host memory. Tensors of 2 MiB or more use huge pages if the system
   * grants them, and take no physical memory until written.
   *
   * @throws IllegalArgumentException if an extent is negative or the bytes cannot be counted
   * @throws OutOfMemoryError if the system refuses the memory
   */
  public static Tensor allocate(DType dtype, long... shape) {
    return allocate(TensorMemory.host(), dtype, shape);
  }

  /**
   * A new tensor of zeros.
   *
   * @param memory where to allocate: {@link Backend#memory()} for operations of that backend
   * @throws IllegalArgumentException if an extent is negative or the bytes cannot be counted
   * @throws OutOfMemoryError if there is no memory for it
   * @throws BudgetException if it exceeds the backend's memory budget
   */
  public static Tensor allocate(TensorMemory memory, DType dtype, long... shape) {
    long[] extents = shape.clone(); // another thread may change the caller's array
    long sizeBytes = Shape.sizeBytes(dtype, extents);
    long address;
    try {
      address = memory.raw().allocate(sizeBytes);
    } catch (OutOfMemoryError e) {
      throw new OutOfMemoryError(
          "tensor " + dtype + Shape.describe(extents) + ": " + e.getMessage());
    }
    try {
      return new Tensor(memory, address, dtype, extents, null, null, true);
    } catch (Error e) { // the Java heap is full
      memory.raw().free(address, sizeBytes);
      throw e;
    }
  }

  /** A new f32 tensor of zeros in host memory. */
  public static Tensor f32(long... shape) {
    return allocate(DType.F32, shape);
  }

  /** A new f32 tensor in host memory with these values. */
  public static Tensor of(float[] values, long... shape) {
    return of(TensorMemory.host(), values, shape);
  }

  /** A new f32 tensor with these values. */
  public static Tensor of(TensorMemory memory, float[] values, long... shape) {
    return filled(allocate(memory, DType.F32, shape), tensor -> tensor.copyFrom(values));
  }

  /** A new i32 tensor in host memory with these values. */
  public static Tensor of(int[] values, long... shape) {
    return of(TensorMemory.host(), values, shape);
  }

  /** A new i32 tensor with these values. */
  public static Tensor of(TensorMemory memory, int[] values, long... shape) {
    return filled(allocate(memory, DType.I32, shape), tensor -> tensor.copyFrom(values));
  }

  /** A copy of a tensor, which may lie in another memory. */
  public static Tensor copyOf(TensorMemory memory, Tensor source) {
    return filled(allocate(memory, source.dtype, source.shape), tensor -> tensor.copyFrom(source));
  }

  private static Tensor filled(Tensor created, Consumer<Tensor> fill) {
    try {
      fill.accept(created);
      return created;
    } catch (RuntimeException | Error e) {
      created.close();
      throw e;
    }
  }

  /**
   * Wraps the caller's memory from the buffer's position on. {@link #close()} does not free it.
   * Elements have the machine's byte order, and so must the buffer. A new {@link ByteBuffer} does
   * not: its order is big-endian until {@link ByteBuffer#order(ByteOrder)} sets another.
   *
   * @throws IllegalArgumentException if the buffer is not direct, is read-only (operations may
   *     write to a tensor), has another byte order than the machine while the type is wider than a
   *     byte, holds fewer bytes than the shape needs, or its position is not aligned to the type's
   *     size
   */
  public static Tensor wrap(ByteBuffer buffer, DType dtype, long... shape) {
    NativeLoader.load();
    long[] extents = shape.clone();
    long needed = Shape.sizeBytes(dtype, extents);
    if (!buffer.isDirect())
      throw new IllegalArgumentException("buffer must be direct, found a buffer on the Java heap");
    if (buffer.isReadOnly())
      throw new IllegalArgumentException("buffer must be writable, found a read-only buffer");
    if (dtype.sizeBytes() > 1 && buffer.order() != ByteOrder.nativeOrder())
      throw new IllegalArgumentException(
          "buffer must have the byte order "
              + ByteOrder.nativeOrder()
              + " of this machine for "
              + dtype
              + " (call order(ByteOrder.nativeOrder()) before it is filled), found "
              + buffer.order());
    ByteBuffer fixed = buffer.duplicate(); // another thread may move the caller's position
    if (fixed.remaining() < needed)
      throw new IllegalArgumentException(
          "buffer must hold " + needed + " bytes, found " + fixed.remaining());
    long address = new Pointer(fixed).address() + fixed.position();
    requireAligned(address, dtype);
    return new Tensor(TensorMemory.host(), address, dtype, extents, null, buffer, false);
  }

  /**
   * <b>Unsafe.</b> Wraps the caller's host memory at an address and never frees it. The address is
   * not checked: the JVM may crash unless the memory stays valid and writable until {@link
   * #close()} has returned.
   *
   * @throws IllegalArgumentException if the address is 0 or not aligned to the type's size, or the
   *     bytes cannot be counted
   */
  public static Tensor wrap(long address, DType dtype, long... shape) {
    return wrap(TensorMemory.host(), address, dtype, shape);
  }

  /**
   * <b>Unsafe.</b> As {@link #wrap(long, DType, long...)}, in any memory. In a device's memory the
   * address is a device address.
   *
   * @throws IllegalArgumentException if the address is 0 or not aligned to the type's size, or the
   *     bytes cannot be counted
   */
  public static Tensor wrap(TensorMemory memory, long address, DType dtype, long... shape) {
    NativeLoader.load();
    if (address == 0) throw new IllegalArgumentException("address must not be 0");
    requireAligned(address, dtype);
    long[] extents = shape.clone();
    Shape.sizeBytes(dtype, extents);
    return new Tensor(memory, address, dtype, extents, null, null, false);
  }

  private static void requireAligned(long address, DType dtype) {
    long beyond = Math.floorMod(address, (long) dtype.sizeBytes());
    if (beyond != 0)
      throw new IllegalArgumentException(
          "address must be aligned to "
              + dtype.sizeBytes()
              + " bytes for "
              + dtype
              + ", found an address "
              + beyond
              + " past a multiple");
  }

  /** Rows {@code begin} to {@code end} (exclusive) of the first dimension. Shares memory. */
  public Tensor slice(long begin, long end) {
    if (shape.length == 0 || begin < 0 || end < begin || end > shape[0]) {
      throw new IllegalArgumentException(
          "slice must lie in [0, "
              + (shape.length == 0 ? 0 : shape[0])
              + "], found ["
              + begin
              + ", "
              + end
              + "]");
    }
    long[] part = shape.clone();
    part[0] = end - begin;
    long rowBytes = shape[0] == 0 ? 0 : size / shape[0] * dtype.sizeBytes();
    return new Tensor(memory, address + begin * rowBytes, dtype, part, this, keepAlive, false);
  }

  /** The same elements with another shape. Shares memory. */
  public Tensor reshape(long... newShape) {
    long[] extents = newShape.clone();
    if (Shape.elements(extents) != size) {
      throw new IllegalArgumentException(
          "shape must hold " + size + " elements, found " + Arrays.toString(extents));
    }
    return new Tensor(memory, address, dtype, extents, this, keepAlive, false);
  }

  /**
   * Elements of any type, from a byte of this tensor on. Shares memory.
   *
   * @param offsetBytes where they begin
   * @throws IllegalArgumentException if they do not lie inside this tensor, or are not aligned to
   *     the type's size
   */
  public Tensor view(long offsetBytes, DType dtype, long... shape) {
    long[] extents = shape.clone();
    long room = sizeBytes() - offsetBytes;
    if (offsetBytes < 0 || room < 0 || Shape.sizeBytes(dtype, extents) > room) {
      throw new IllegalArgumentException(
          "view must end inside "
              + sizeBytes()
              + " bytes, found "
              + dtype
              + Shape.describe(extents)
              + " at byte "
              + offsetBytes);
    }
    requireAligned(address + offsetBytes, dtype);
    return new Tensor(memory, address + offsetBytes, dtype, extents, this, keepAlive, false);
  }

  /** The memory that holds the elements. */
  public TensorMemory memory() {
    return memory;
  }

  public DType dtype() {
    return dtype;
  }

  public int rank() {
    return shape.length;
  }

  /**
   * The extent of a dimension, 0 being the outermost.
   *
   * @throws IndexOutOfBoundsException if there is no such dimension
   */
  public long dim(int axis) {
    return shape[Objects.checkIndex(axis, shape.length)];
  }

  public long[] shape() {
    return shape.clone();
  }

  /** Number of elements. */
  public long size() {
    return size;
  }

  public long sizeBytes() {
    return size * dtype.sizeBytes();
  }

  /**
   * Address of the first element, valid while the tensor is open. Messages use this argument name.
   *
   * @throws IllegalStateException if the tensor is closed
   */
  long openAddress(String name) {
    requireOpen(name);
    return address;
  }

  /** As {@link #openAddress} for a tensor that is known to be open. */
  long requiredAddress() {
    return address;
  }

  public boolean isClosed() {
    return closed || (parent != null && parent.isClosed());
  }

  /**
   * Checks this argument of an operation.
   *
   * @param name the operation's name for it
   * @param expected the extents; {@link #ANY} matches any
   * @throws IllegalArgumentException naming the argument, what was expected and what was found
   * @throws IllegalStateException if the tensor is closed
   */
  public void require(String name, DType expectedType, long... expected) {
    requireOpen(name);
    if (dtype != expectedType)
      throw new IllegalArgumentException(name + " must be " + expectedType + ", found " + dtype);
    requireShape(name, expected);
  }

  /** Checks an argument that may be of any floating type. */
  public void requireFloating(String name, long... expected) {
    requireOpen(name);
    if (!dtype.isFloating())
      throw new IllegalArgumentException(name + " must be f32, bf16 or f16, found " + dtype);
    requireShape(name, expected);
  }

  /**
   * Checks that this argument lies in the memory that the operation uses.
   *
   * @param expected the backend's memory
   * @throws IllegalArgumentException naming the argument, what was expected and what was found
   */
  public void requireIn(String name, TensorMemory expected) {
    if (memory != expected)
      throw new IllegalArgumentException(name + " must lie in " + expected + ", found " + memory);
  }

  /** Checks that this output argument shares no byte with an input. */
  public void requireDisjoint(String name, String otherName, Tensor other) {
    if (memory == other.memory
        && address < other.address + other.sizeBytes()
        && other.address < address + sizeBytes()) {
      throw new IllegalArgumentException(name + " must not overlap " + otherName);
    }
  }

  // Overloads avoid the array of a varargs call: an operation allocates nothing per call.

  public void require(String name, DType expectedType, long extent) {
    requireOpen(name);
    if (dtype != expectedType || shape.length != 1 || differs(0, extent))
      require(name, expectedType, new long[] {extent});
  }

  public void require(String name, DType expectedType, long rows, long columns) {
    requireOpen(name);
    if (dtype != expectedType || shape.length != 2 || differs(0, rows) || differs(1, columns)) {
      require(name, expectedType, new long[] {rows, columns});
    }
  }

  public void require(String name, DType expectedType, long first, long second, long third) {
    requireOpen(name);
    if (dtype != expectedType
        || shape.length != 3
        || differs(0, first)
        || differs(1, second)
        || differs(2, third)) {
      require(name, expectedType, new long[] {first, second, third});
    }
  }

  /** As {@link #require(String, DType, long, long)} for any floating type. */
  public void requireFloating(String name, long rows, long columns) {
    requireOpen(name);
    if (!dtype.isFloating() || shape.length != 2 || differs(0, rows) || differs(1, columns)) {
      requireFloating(name, new long[] {rows, columns});
    }
  }

  private boolean differs(int axis, long expected) {
    return expected != ANY && expected != shape[axis];
  }

  private void requireShape(String name, long[] expected) {
    boolean matches = expected.length == shape.length;
    for (int i = 0; matches && i < expected.length; i++)
      matches = expected[i] == ANY || expected[i] == shape[i];
    if (!matches)
      throw new IllegalArgumentException(
          name + " must be " + Shape.describe(expected) + ", found " + Shape.describe(shape));
  }

  private void requireOpen(String name) {
    if (isClosed()) throw new IllegalStateException(name + " is closed");
  }

  /** Element {@code index} in row-major order, of a floating tensor. */
  public float getFloat(long index) {
    return TensorElements.getFloat(this, index);
  }

  /** Sets element {@code index} in row-major order, rounded to nearest even for 16-bit types. */
  public void setFloat(long index, float value) {
    TensorElements.setFloat(this, index, value);
  }

  /** Element {@code index} in row-major order, of an i32 tensor. */
  public int getInt(long index) {
    return TensorElements.getInt(this, index);
  }

  /** Sets element {@code index} in row-major order, of an i32 tensor. */
  public void setInt(long index, int value) {
    TensorElements.setInt(this, index, value);
  }

  /** Element {@code index} in row-major order, of an i64 or u64 tensor. */
  public long getLong(long index) {
    return TensorElements.getLong(this, index);
  }

  /** Sets element {@code index} in row-major order, of an i64 or u64 tensor. */
  public void setLong(long index, long value) {
    TensorElements.setLong(this, index, value);
  }

  /** All elements of a floating tensor, as f32. */
  public float[] toFloatArray() {
    return TensorElements.toFloatArray(this);
  }

  /** All elements of an i32 tensor. */
  public int[] toIntArray() {
    return TensorElements.toIntArray(this);
  }

  /** Overwrites all elements of a floating tensor; 16-bit types round to nearest even. */
  public Tensor copyFrom(float[] values) {
    TensorElements.copyFrom(this, values);
    return this;
  }

  /** Overwrites all elements of an i32 tensor. */
  public Tensor copyFrom(int[] values) {
    TensorElements.copyFrom(this, values);
    return this;
  }

  /**
   * Overwrites all bytes with those of a tensor of the same type and size, which may lie in another
   * memory.
   *
   * @throws IllegalArgumentException if it is of another type or size, or overlaps this one
   */
  public Tensor copyFrom(Tensor source) {
    if (source.dtype != dtype || source.size != size) {
      throw new IllegalArgumentException(
          "source must be " + dtype + " with " + size + " elements, found " + source);
    }
    requireDisjoint("tensor", "source", source);
    TensorElements.copy(this, source);
    return this;
  }

  /** Sets every element of a floating tensor. */
  public Tensor fill(float value) {
    TensorElements.fill(this, value);
    return this;
  }

  /**
   * A little-endian view of the bytes. The memory stays valid until the tensor is closed and no
   * buffer over it can be reached any more.
   *
   * @throws IllegalStateException if the tensor is closed, does not lie in host memory, or has 2
   *     GiB or more (slice it then)
   */
  public ByteBuffer asByteBuffer() {
    requireBuffer();
    Tensor root = root();
    synchronized (root) {
      requireOpen("tensor");
      return Objects.requireNonNull(root.lent).lend(TensorElements.buffer(address, sizeBytes()));
    }
  }

  private Tensor root() {
    Tensor root = this;
    while (root.parent != null) root = root.parent;
    return root;
  }

  /** A view of the bytes for a native call, within which nobody frees them. */
  ByteBuffer bytes() {
    requireBuffer();
    ByteBuffer made = bytes;
    if (made == null) bytes = made = TensorElements.buffer(address, sizeBytes());
    return made.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  private void requireBuffer() {
    requireOpen("tensor");
    if (!memory.isHost())
      throw new IllegalStateException(
          "tensor must lie in " + TensorMemory.host() + " for a buffer, found " + memory);
    if (!TensorElements.fitsBuffer(this))
      throw new IllegalStateException(
          "tensor must have less than 2 GiB for a buffer, found " + sizeBytes() + " bytes");
  }

  /**
   * Waits for running operations, then frees the memory that this tensor owns; later if {@link
   * #asByteBuffer} has given away buffers that can still be reached. May be called twice.
   *
   * @throws IllegalStateException if called inside an operation or inside a step that is being
   *     captured; the tensor stays open then
   */
  @Override
  public void close() {
    synchronized (this) {
      if (closed) return;
      if (parent == null) NativeCall.requireOutside();
      closed = true;
    }
    if (parent != null) {
      NativeCall.noteClosing();
      return;
    }
    NativeCall.awaitRunning(); // the caller may free wrapped memory as soon as we return
    try {
      if (release != null) release.run();
      else if (lent != null) lent.close();
    } catch (RuntimeException | Error e) {
      closed = false; // the free was refused: the tensor stays usable
      throw e;
    }
  }

  @Override
  public String toString() {
    return dtype + Shape.describe(shape);
  }
}
