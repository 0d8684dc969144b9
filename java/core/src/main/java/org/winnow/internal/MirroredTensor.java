package org.winnow.internal;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;

/**
 * A tensor that both Java and operations access. Java accesses a copy in host memory through
 * buffers. If the tensor itself lies in host memory, copy and tensor are the same. {@link
 * #fromHost} copies the buffers to the tensor, {@link #toHost} copies the tensor to the buffers.
 * The buffers must not be used while an operation uses the tensor, or after {@link #close}.
 */
public final class MirroredTensor implements AutoCloseable {
  private final Tensor tensor;
  private final Tensor host;
  private final IntBuffer ints;
  private final LongBuffer longs;
  private final FloatBuffer floats;

  /** A new tensor of zeros. */
  public MirroredTensor(TensorMemory memory, DType dtype, long... shape) {
    host = Tensor.allocate(dtype, shape);
    try {
      tensor = memory.isHost() ? host : Tensor.allocate(memory, dtype, shape);
    } catch (RuntimeException | Error e) {
      host.close();
      throw e;
    }
    ByteBuffer bytes = Internals.bytes(host);
    ints = bytes.asIntBuffer();
    longs = bytes.asLongBuffer();
    floats = bytes.asFloatBuffer();
  }

  /**
   * Returns this if it has at least so many elements. Otherwise closes this and returns a larger
   * tensor of zeros; the old elements are lost. If the larger tensor cannot be allocated, this
   * stays open and unchanged.
   */
  public MirroredTensor grown(long size) {
    long capacity = tensor.size();
    if (capacity >= size) return this;
    MirroredTensor larger =
        new MirroredTensor(tensor.memory(), tensor.dtype(), Workspace.grown(capacity, size));
    close();
    return larger;
  }

  /** The tensor that operations access. */
  public Tensor tensor() {
    return tensor;
  }

  /**
   * The host copy as i32. Ask for it and use it within a {@link NativeCall}: then nobody frees the
   * memory meanwhile. The same holds for the next two.
   *
   * @throws IllegalStateException if the tensor is closed
   */
  public IntBuffer ints() {
    Internals.address(host);
    return ints;
  }

  /** The host copy as i64. */
  public LongBuffer longs() {
    Internals.address(host);
    return longs;
  }

  /** The host copy as f32. */
  public FloatBuffer floats() {
    Internals.address(host);
    return floats;
  }

  /** Copies the buffers to the tensor. */
  public void fromHost() {
    if (host != tensor) tensor.copyFrom(host);
  }

  /** Copies the tensor to the buffers, after the operations that write the tensor. */
  public void toHost() {
    if (host != tensor) host.copyFrom(tensor);
  }

  /** Waits for running operations, then frees both. May be called twice. */
  @Override
  public void close() {
    Resources.closeAll(host, tensor);
  }
}
