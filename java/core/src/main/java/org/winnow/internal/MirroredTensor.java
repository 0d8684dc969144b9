package org.winnow.internal;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

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
    ByteBuffer bytes = host.asByteBuffer();
    ints = bytes.asIntBuffer();
    longs = bytes.asLongBuffer();
    floats = bytes.asFloatBuffer();
  }

  /** What operations read and write. */
  public Tensor tensor() {
    return tensor;
  }

  /**
   * The host's copy as i32, like the next two as their types. To be asked for, and used, within
   * {@link NativeCalls}: then nobody frees the memory meanwhile.
   *
   * @throws IllegalStateException if the tensor is closed, perhaps by a caller who was given it
   */
  public IntBuffer ints() {
    host.address();
    return ints;
  }

  public LongBuffer longs() {
    host.address();
    return longs;
  }

  public FloatBuffer floats() {
    host.address();
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
