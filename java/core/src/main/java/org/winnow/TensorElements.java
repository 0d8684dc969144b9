package org.winnow;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.function.Consumer;
import java.util.function.Function;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.winnow.internal.NativeCall;

/**
 * A tensor's elements as Java values. Those of a device pass through a copy in the host's memory:
 * one element, or all of them.
 *
 * <p>Every access counts as a call, so that close() on another thread does not free what is being
 * read.
 */
final class TensorElements {
  private static final TensorMemory HOST = TensorMemory.host();

  private TensorElements() {}

  static float getFloat(Tensor tensor, long index) {
    return switch (tensor.dtype()) {
      case F32 -> Float.intBitsToFloat((int) get(tensor, index));
      case BF16 -> Float16.fromBf16((short) get(tensor, index));
      case F16 -> Float16.fromF16((short) get(tensor, index));
      default -> throw holdsNo(tensor, "floating");
    };
  }

  static void setFloat(Tensor tensor, long index, float value) {
    switch (tensor.dtype()) {
      case F32 -> set(tensor, index, Float.floatToRawIntBits(value));
      case BF16 -> set(tensor, index, Float16.toBf16(value));
      case F16 -> set(tensor, index, Float16.toF16(value));
      default -> throw holdsNo(tensor, "floating");
    }
  }

  static int getInt(Tensor tensor, long index) {
    requireI32(tensor);
    return (int) get(tensor, index);
  }

  static void setInt(Tensor tensor, long index, int value) {
    requireI32(tensor);
    set(tensor, index, value);
  }

  static long getLong(Tensor tensor, long index) {
    if (tensor.dtype().sizeBytes() != 8) throw holdsNo(tensor, "64-bit");
    return get(tensor, index);
  }

  static void setLong(Tensor tensor, long index, long value) {
    if (tensor.dtype().sizeBytes() != 8) throw holdsNo(tensor, "64-bit");
    set(tensor, index, value);
  }

  static float[] toFloatArray(Tensor tensor) {
    if (!tensor.memory().isHost()) return read(tensor, TensorElements::toFloatArray);
    float[] values = new float[Math.toIntExact(tensor.size())];
    if (tensor.dtype() == DType.F32 && fitsBuffer(tensor)) {
      access(tensor, bytes -> bytes.asFloatBuffer().get(values));
    } else {
      for (int i = 0; i < values.length; i++) values[i] = getFloat(tensor, i);
    }
    return values;
  }

  static int[] toIntArray(Tensor tensor) {
    requireI32(tensor);
    if (!tensor.memory().isHost()) return read(tensor, TensorElements::toIntArray);
    int[] values = new int[Math.toIntExact(tensor.size())];
    if (fitsBuffer(tensor)) access(tensor, bytes -> bytes.asIntBuffer().get(values));
    else for (int i = 0; i < values.length; i++) values[i] = getInt(tensor, i);
    return values;
  }

  static void copyFrom(Tensor tensor, float[] values) {
    requireLength(tensor, values.length);
    if (!tensor.memory().isHost()) {
      write(tensor, copy -> copyFrom(copy, values));
    } else if (tensor.dtype() == DType.F32 && fitsBuffer(tensor)) {
      access(tensor, bytes -> bytes.asFloatBuffer().put(values));
    } else {
      for (int i = 0; i < values.length; i++) setFloat(tensor, i, values[i]);
    }
  }

  static void copyFrom(Tensor tensor, int[] values) {
    requireI32(tensor);
    requireLength(tensor, values.length);
    if (!tensor.memory().isHost()) write(tensor, copy -> copyFrom(copy, values));
    else if (fitsBuffer(tensor)) access(tensor, bytes -> bytes.asIntBuffer().put(values));
    else for (int i = 0; i < values.length; i++) setInt(tensor, i, values[i]);
  }

  static void fill(Tensor tensor, float value) {
    if (!tensor.memory().isHost()) write(tensor, copy -> fill(copy, value));
    else for (long i = 0; i < tensor.size(); i++) setFloat(tensor, i, value);
  }

  /** Overwrites a tensor with another of the same size in bytes, wherever the two lie. */
  static void copy(Tensor tensor, Tensor source) {
    NativeCall call = NativeCall.enter();
    try {
      long address = tensor.openAddress("tensor");
      long from = source.openAddress("source");
      TensorMemory memory = tensor.memory();
      if (memory == source.memory()) {
        memory.raw().copyWithin(address, from, tensor.sizeBytes());
      } else if (source.memory().isHost()) {
        memory.raw().copyFromHost(address, from, tensor.sizeBytes());
      } else if (memory.isHost()) {
        source.memory().raw().copyToHost(address, from, tensor.sizeBytes());
      } else {
        write(tensor, copy -> source.memory().raw().copyToHost(copy.openAddress("copy"), from, copy.sizeBytes()));
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(tensor);
      Reference.reachabilityFence(source);
    }
  }

  static boolean fitsBuffer(Tensor tensor) {
    return tensor.sizeBytes() <= Integer.MAX_VALUE;
  }

  /** The host's bytes at an address, little-endian. */
  static ByteBuffer buffer(long address, long sizeBytes) {
    if (sizeBytes == 0) return ByteBuffer.allocateDirect(0);
    return new Bytes(address, sizeBytes).asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The bits of an element. */
  private static long get(Tensor tensor, long index) {
    NativeCall call = NativeCall.enter();
    try {
      long address = elementAddress(tensor, index);
      int sizeBytes = tensor.dtype().sizeBytes();
      if (tensor.memory().isHost()) return bits(buffer(address, sizeBytes), sizeBytes);
      long staging = HOST.raw().allocate(sizeBytes);
      try {
        tensor.memory().raw().copyToHost(staging, address, sizeBytes);
        return bits(buffer(staging, sizeBytes), sizeBytes);
      } finally {
        HOST.raw().free(staging, sizeBytes);
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(tensor);
    }
  }

  private static void set(Tensor tensor, long index, long bits) {
    NativeCall call = NativeCall.enter();
    try {
      long address = elementAddress(tensor, index);
      int sizeBytes = tensor.dtype().sizeBytes();
      if (tensor.memory().isHost()) {
        put(buffer(address, sizeBytes), sizeBytes, bits);
        return;
      }
      long staging = HOST.raw().allocate(sizeBytes);
      try {
        put(buffer(staging, sizeBytes), sizeBytes, bits);
        tensor.memory().raw().copyFromHost(address, staging, sizeBytes);
      } finally {
        HOST.raw().free(staging, sizeBytes);
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(tensor);
    }
  }

  private static long bits(ByteBuffer element, int sizeBytes) {
    return switch (sizeBytes) {
      case 1 -> element.get(0);
      case 2 -> element.getShort(0);
      case 4 -> element.getInt(0);
      default -> element.getLong(0);
    };
  }

  private static void put(ByteBuffer element, int sizeBytes, long bits) {
    switch (sizeBytes) {
      case 1 -> element.put(0, (byte) bits);
      case 2 -> element.putShort(0, (short) bits);
      case 4 -> element.putInt(0, (int) bits);
      default -> element.putLong(0, bits);
    }
  }

  private static long elementAddress(Tensor tensor, long index) {
    if (index < 0 || index >= tensor.size())
      throw new IndexOutOfBoundsException(
          "index must lie in [0, " + tensor.size() + "), found " + index);
    return tensor.openAddress("tensor") + index * tensor.dtype().sizeBytes();
  }

  /** What a copy of a device's tensor in the host's memory says. */
  private static <R> R read(Tensor tensor, Function<Tensor, R> reader) {
    long staging = HOST.raw().allocate(tensor.sizeBytes());
    try {
      Tensor copy = Tensor.wrap(HOST, staging, tensor.dtype(), tensor.shape());
      copy(copy, tensor);
      return reader.apply(copy);
    } finally {
      HOST.raw().free(staging, tensor.sizeBytes());
    }
  }

  /** Overwrites a device's tensor by way of memory of the host's. */
  private static void write(Tensor tensor, Consumer<Tensor> writer) {
    long staging = HOST.raw().allocate(tensor.sizeBytes());
    try {
      Tensor copy = Tensor.wrap(HOST, staging, tensor.dtype(), tensor.shape());
      writer.accept(copy);
      copy(tensor, copy);
    } finally {
      HOST.raw().free(staging, tensor.sizeBytes());
    }
  }

  private static void access(Tensor tensor, Consumer<ByteBuffer> action) {
    NativeCall call = NativeCall.enter();
    try {
      action.accept(tensor.bytes());
    } finally {
      call.exit();
      Reference.reachabilityFence(tensor);
    }
  }

  private static void requireI32(Tensor tensor) {
    if (tensor.dtype() != DType.I32) throw holdsNo(tensor, "i32");
  }

  private static void requireLength(Tensor tensor, int length) {
    if (length != tensor.size())
      throw new IllegalArgumentException(
          "values must be " + tensor.size() + " elements, found " + length);
  }

  private static IllegalStateException holdsNo(Tensor tensor, String kind) {
    return new IllegalStateException(
        "tensor of " + tensor.dtype() + " holds no " + kind + " values");
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
