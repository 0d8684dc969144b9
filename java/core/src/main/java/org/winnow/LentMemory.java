package org.winnow;

import java.nio.ByteBuffer;
import org.winnow.internal.Release;

/**
 * The memory of a tensor that has given buffers away. It is freed when the tensor is closed and no
 * buffer over it can be reached any more, so that a late access reads old values and never freed
 * memory.
 */
final class LentMemory {
  private final Runnable free;
  private int buffers; // that can still be reached
  private boolean closed;

  /**
   * @param free frees the memory; must not refer to a buffer
   */
  LentMemory(Runnable free) {
    this.free = free;
  }

  /** Buffers that Java derives from this one keep it reachable. */
  synchronized ByteBuffer lend(ByteBuffer buffer) {
    Release.afterCollected(buffer, this::returned);
    buffers++;
    return buffer;
  }

  /** The tensor is closed or collected: frees the memory, now or when the last buffer is gone. */
  void close() {
    synchronized (this) {
      closed = true;
      if (buffers > 0) return;
    }
    try {
      free.run();
    } catch (RuntimeException | Error e) { // refused: the tensor stays open
      synchronized (this) {
        closed = false;
      }
      throw e;
    }
  }

  private void returned() {
    synchronized (this) {
      buffers--;
      if (buffers > 0 || !closed) return;
    }
    free.run();
  }
}
