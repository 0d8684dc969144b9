package org.winnow;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.winnow.internal.NativeCalls;
import org.winnow.internal.NativeCpu;
import org.winnow.internal.NativeLoader;

/**
 * A dense row-major array outside the Java heap: its own memory, a part of another tensor, or
 * memory of the caller's.
 *
 * <p>Closing a tensor frees the memory that it owns; it may be called twice, and waits for
 * operations that are running. Every use after that throws {@link IllegalStateException}. Views
 * share the memory of the tensor they were made from and are closed with it.
 *
 * <p>Reading and writing elements from several threads at once is the caller's to order, as with
 * any array.
 */
public final class Tensor implements AutoCloseable {
  /** In an expected shape: any extent. */
  public static final long ANY = -1;

  private final long address;
  private final DType dtype;
  private final long[] shape;
  private final long size;
  private final Tensor parent; // whose memory this is a part of, or null
  private final Object keepAlive; // the caller's buffer, or null
  private final boolean owned;
  private volatile boolean closed;

  private Tensor(
      long address, DType dtype, long[] shape, Tensor parent, Object keepAlive, boolean owned) {
    this.address = address;
    this.dtype = dtype;
    this.shape = shape;
    this.size = elements(shape);
    this.parent = parent;
    this.keepAlive = keepAlive;
    this.owned = owned;
  }

  /**
   * A new tensor of zeros; from 2 MiB on it lies on huge pages where the system grants them,
   * untouched until written.
   *
   * @throws IllegalArgumentException if an extent is negative or the bytes cannot be counted
   * @throws OutOfMemoryError if the system refuses the memory
   */
  public static Tensor allocate(DType dtype, long... shape) {
    NativeLoader.load();
    long sizeBytes = sizeBytes(dtype, shape);
    long address;
    try {
      address = NativeCpu.memory_allocate(sizeBytes);
    } catch (RuntimeException e) { // std::bad_alloc
      throw new OutOfMemoryError(
          "tensor " + dtype + describe(shape) + ": no memory for " + sizeBytes + " bytes");
    }
    return new Tensor(address, dtype, shape.clone(), null, null, true);
  }

  /** A new f32 tensor of zeros. */
  public static Tensor f32(long... shape) {
    return allocate(DType.F32, shape);
  }

  /** A new f32 tensor with these values. */
  public static Tensor of(float[] values, long... shape) {
    return f32(shape).copyFrom(values);
  }

  /** A new i32 tensor with these values. */
  public static Tensor of(int[] values, long... shape) {
    return allocate(DType.I32, shape).copyFrom(values);
  }

  /**
   * The caller's memory, from the buffer's position on; not freed by {@link #close()}.
   *
   * @throws IllegalArgumentException if the buffer is not direct, is read-only (an operation might
   *     write it), or holds fewer bytes than the shape needs
   */
  public static Tensor wrap(ByteBuffer buffer, DType dtype, long... shape) {
    NativeLoader.load();
    long needed = sizeBytes(dtype, shape);
    if (!buffer.isDirect())
      throw new IllegalArgumentException("buffer must be direct, found a buffer on the Java heap");
    if (buffer.isReadOnly())
      throw new IllegalArgumentException("buffer must be writable, found a read-only buffer");
    if (buffer.remaining() < needed)
      throw new IllegalArgumentException(
          "buffer must hold " + needed + " bytes, found " + buffer.remaining());
    long address = new Pointer(buffer).address() + buffer.position();
    return new Tensor(address, dtype, shape.clone(), null, buffer, false);
  }

  /**
   * The caller's memory at an address, which must stay valid until {@link #close()} has returned;
   * it is not freed.
   */
  public static Tensor wrap(long address, DType dtype, long... shape) {
    NativeLoader.load();
    if (address == 0) throw new IllegalArgumentException("address must not be 0");
    sizeBytes(dtype, shape);
    return new Tensor(address, dtype, shape.clone(), null, null, false);
  }

  /** Rows {@code begin} to {@code end} (exclusive) of the first dimension, sharing memory. */
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
    return new Tensor(address + begin * rowBytes, dtype, part, this, keepAlive, false);
  }

  /** The same elements under another shape, sharing memory. */
  public Tensor reshape(long... newShape) {
    if (elements(newShape) != size) {
      throw new IllegalArgumentException(
          "shape must hold " + size + " elements, found " + Arrays.toString(newShape));
    }
    return new Tensor(address, dtype, newShape.clone(), this, keepAlive, false);
  }

  public DType dtype() {
    return dtype;
  }

  public int rank() {
    return shape.length;
  }

  public long dim(int axis) {
    return shape[axis];
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
   * Where the first element lies. For backends and for callers who hand the memory on; valid while
   * the tensor is open.
   *
   * @throws IllegalStateException if the tensor is closed
   */
  public long address() {
    requireOpen("tensor");
    return address;
  }

  public boolean isClosed() {
    return closed || (parent != null && parent.isClosed());
  }

  /**
   * Checks this argument of an operation.
   *
   * @param name how the operation calls it
   * @param expected the extents, {@link #ANY} for any
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
   * Checks that this argument, which an operation writes, shares no byte with one that it reads.
   */
  public void requireDisjoint(String name, String otherName, Tensor other) {
    if (address < other.address + other.sizeBytes() && other.address < address + sizeBytes()) {
      throw new IllegalArgumentException(name + " must not overlap " + otherName);
    }
  }

  // Overloads, not only varargs: an operation allocates nothing per call.

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

  /** As {@link #require(String, DType, long, long)}, for any floating type. */
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
          name + " must be " + describe(expected) + ", found " + describe(shape));
  }

  private void requireOpen(String name) {
    if (isClosed()) throw new IllegalStateException(name + " is closed");
  }

  /** Element {@code index} in row-major order, of a floating tensor. */
  public float getFloat(long index) {
    return switch (dtype) {
      case F32 -> Float.intBitsToFloat((int) get(index));
      case BF16 -> Float16.fromBf16((short) get(index));
      case F16 -> Float16.fromF16((short) get(index));
      default ->
          throw new IllegalStateException("tensor of " + dtype + " holds no floating values");
    };
  }

  /** Sets element {@code index} in row-major order, rounded to nearest even for 16-bit types. */
  public void setFloat(long index, float value) {
    switch (dtype) {
      case F32 -> set(index, Float.floatToRawIntBits(value));
      case BF16 -> set(index, Float16.toBf16(value));
      case F16 -> set(index, Float16.toF16(value));
      default ->
          throw new IllegalStateException("tensor of " + dtype + " holds no floating values");
    }
  }

  /** Element {@code index} in row-major order, of an i32 tensor. */
  public int getInt(long index) {
    if (dtype != DType.I32)
      throw new IllegalStateException("tensor of " + dtype + " holds no i32 values");
    return (int) get(index);
  }

  /** Sets element {@code index} in row-major order, of an i32 tensor. */
  public void setInt(long index, int value) {
    if (dtype != DType.I32)
      throw new IllegalStateException("tensor of " + dtype + " holds no i32 values");
    set(index, value);
  }

  /** Element {@code index} in row-major order, of an i64 or u64 tensor. */
  public long getLong(long index) {
    if (dtype.sizeBytes() != 8)
      throw new IllegalStateException("tensor of " + dtype + " holds no 64-bit values");
    return get(index);
  }

  /** Sets element {@code index} in row-major order, of an i64 or u64 tensor. */
  public void setLong(long index, long value) {
    if (dtype.sizeBytes() != 8)
      throw new IllegalStateException("tensor of " + dtype + " holds no 64-bit values");
    set(index, value);
  }

  /** All elements of a floating tensor, as f32. */
  public float[] toFloatArray() {
    float[] values = new float[Math.toIntExact(size)];
    if (dtype == DType.F32 && fitsBuffer()) {
      access(() -> buffer(0, sizeBytes()).asFloatBuffer().get(values));
    } else {
      for (int i = 0; i < values.length; i++) values[i] = getFloat(i);
    }
    return values;
  }

  /** All elements of an i32 tensor. */
  public int[] toIntArray() {
    if (dtype != DType.I32)
      throw new IllegalStateException("tensor of " + dtype + " holds no i32 values");
    int[] values = new int[Math.toIntExact(size)];
    if (fitsBuffer()) access(() -> buffer(0, sizeBytes()).asIntBuffer().get(values));
    else for (int i = 0; i < values.length; i++) values[i] = getInt(i);
    return values;
  }

  /** Overwrites all elements of a floating tensor; 16-bit types round to nearest even. */
  public Tensor copyFrom(float[] values) {
    requireLength(values.length);
    if (dtype == DType.F32 && fitsBuffer()) {
      access(() -> buffer(0, sizeBytes()).asFloatBuffer().put(values));
    } else {
      for (int i = 0; i < values.length; i++) setFloat(i, values[i]);
    }
    return this;
  }

  /** Overwrites all elements of an i32 tensor. */
  public Tensor copyFrom(int[] values) {
    if (dtype != DType.I32)
      throw new IllegalStateException("tensor of " + dtype + " holds no i32 values");
    requireLength(values.length);
    if (fitsBuffer()) access(() -> buffer(0, sizeBytes()).asIntBuffer().put(values));
    else for (int i = 0; i < values.length; i++) setInt(i, values[i]);
    return this;
  }

  /** Overwrites all bytes with those of a tensor of the same type and size. */
  public Tensor copyFrom(Tensor source) {
    if (source.dtype != dtype || source.size != size) {
      throw new IllegalArgumentException(
          "source must be " + dtype + " with " + size + " elements, found " + source);
    }
    access(
        () -> {
          source.requireOpen("source");
          NativeCpu.memory_copy(address, source.address, sizeBytes());
        });
    return this;
  }

  /** Sets every element of a floating tensor. */
  public Tensor fill(float value) {
    for (long i = 0; i < size; i++) setFloat(i, value);
    return this;
  }

  /**
   * A view of the bytes, little-endian; it must not be used after {@link #close()}.
   *
   * @throws IllegalStateException if the tensor is closed or has 2 GiB or more: slice it
   */
  public ByteBuffer asByteBuffer() {
    requireOpen("tensor");
    if (!fitsBuffer())
      throw new IllegalStateException(
          "tensor must have less than 2 GiB for a buffer, found " + sizeBytes() + " bytes");
    return buffer(0, sizeBytes());
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) return;
      closed = true;
    }
    if (owned) {
      NativeCalls.awaitRunning();
      NativeCpu.memory_free(address, sizeBytes());
    } else if (parent == null) {
      NativeCalls.awaitRunning(); // the caller may free the memory as soon as we return
    }
  }

  @Override
  public String toString() {
    return dtype + describe(shape);
  }

  private void requireLength(int length) {
    if (length != size)
      throw new IllegalArgumentException("values must be " + size + " elements, found " + length);
  }

  /**
   * The bits of an element. Counted as a call, so that close() on another thread does not free what
   * is being read.
   */
  private long get(long index) {
    int ticket = NativeCalls.enter();
    try {
      ByteBuffer element = element(index);
      return switch (dtype.sizeBytes()) {
        case 1 -> element.get(0);
        case 2 -> element.getShort(0);
        case 4 -> element.getInt(0);
        default -> element.getLong(0);
      };
    } finally {
      NativeCalls.exit(ticket);
      Reference.reachabilityFence(this);
    }
  }

  private void set(long index, long bits) {
    int ticket = NativeCalls.enter();
    try {
      ByteBuffer element = element(index);
      switch (dtype.sizeBytes()) {
        case 1 -> element.put(0, (byte) bits);
        case 2 -> element.putShort(0, (short) bits);
        case 4 -> element.putInt(0, (int) bits);
        default -> element.putLong(0, bits);
      }
    } finally {
      NativeCalls.exit(ticket);
      Reference.reachabilityFence(this);
    }
  }

  private ByteBuffer element(long index) {
    if (index < 0 || index >= size)
      throw new IndexOutOfBoundsException("index must lie in [0, " + size + "), found " + index);
    requireOpen("tensor");
    return buffer(index * dtype.sizeBytes(), dtype.sizeBytes());
  }

  private void access(Runnable action) {
    int ticket = NativeCalls.enter();
    try {
      requireOpen("tensor");
      action.run();
    } finally {
      NativeCalls.exit(ticket);
      Reference.reachabilityFence(this);
    }
  }

  private boolean fitsBuffer() {
    return sizeBytes() <= Integer.MAX_VALUE;
  }

  private ByteBuffer buffer(long offsetBytes, long lengthBytes) {
    if (lengthBytes == 0) return ByteBuffer.allocateDirect(0);
    return new Bytes(address + offsetBytes, lengthBytes)
        .asByteBuffer()
        .order(ByteOrder.LITTLE_ENDIAN);
  }

  private static long sizeBytes(DType dtype, long[] shape) {
    try {
      return Math.multiplyExact(elements(shape), dtype.sizeBytes());
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape must hold less than 2^63 bytes, found " + Arrays.toString(shape));
    }
  }

  private static long elements(long[] shape) {
    long elements = 1;
    for (long extent : shape) {
      if (extent < 0)
        throw new IllegalArgumentException(
            "shape must have no negative extent, found " + Arrays.toString(shape));
      elements = Math.multiplyExact(elements, extent);
    }
    return elements;
  }

  private static String describe(long[] shape) {
    StringBuilder text = new StringBuilder("[");
    for (int i = 0; i < shape.length; i++)
      text.append(i == 0 ? "" : ", ").append(shape[i] == ANY ? "any" : Long.toString(shape[i]));
    return text.append(']').toString();
  }

  /** Memory that JavaCPP neither owns nor counts. */
  private static final class Bytes extends BytePointer {
    private static final long serialVersionUID = 1L;

    Bytes(long address, long lengthBytes) {
      super((Pointer) null);
      this.address = address;
      this.limit = lengthBytes;
      this.capacity = lengthBytes;
    }
  }
}
