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
 * A tensor that both Java and operations read or write: on a device it has a copy in the host's
 * memory, in the host's memory it is its own. Java uses the buffers, beside no operation and while
 * this is open; {@link #fromHost} hands over what they hold, {@link #toHost} fetches what an
 * operation wrote.
 */
public final class MirroredTensor implements AutoCloseable {
  private final Tensor tensor;
  private final Tensor host;
  private final IntBuffer ints;
  private final LongBuffer longs;
  private final FloatBuffer floats;

  /** Of zeros. */
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
   * This, or if it has fewer elements than needed a larger one of zeros in its place: of those that
   * it holds none counts any more. Where there is no room for a larger one, this stays as it is.
   */
  public MirroredTensor grown(long size) {
    long capacity = tensor.size();
    if (capacity >= size) return this;
    MirroredTensor larger =
        new MirroredTensor(tensor.memory(), tensor.dtype(), Workspace.grown(capacity, size));
    close();
    return larger;
  }

  /** What operations read and write. */
  public Tensor tensor() {
    return tensor;
  }

  /**
   * The host's copy as i32, like the next two as their types. To be asked for, and used, within
   * {@link NativeCall}: then nobody frees the memory meanwhile.
   *
   * @throws IllegalStateException if the tensor is closed, perhaps by a caller who was given it
   */
  public IntBuffer ints() {
    Internals.address(host);
    return ints;
  }

  public LongBuffer longs() {
    Internals.address(host);
    return longs;
  }

  public FloatBuffer floats() {
    Internals.address(host);
    return floats;
  }

  /** Makes the tensor what the buffers say. */
  public void fromHost() {
    if (host != tensor) tensor.copyFrom(host);
  }

  /** Makes the buffers what the tensor says, after the operations that write it. */
  public void toHost() {
    if (host != tensor) host.copyFrom(tensor);
  }

  /** Frees both, after operations that are running. May be called twice. */
  @Override
  public void close() {
    Resources.closeAll(host, tensor);
  }
}
