package org.winnow;

import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;

/**
 * The memory of a tensor that has given buffers away. It is freed when the tensor is closed and no
 * buffer over it can be reached any more, so that a late access reads old values and never freed
 * memory.
 */
final class LentMemory {
  private static final Cleaner CLEANER = Cleaner.create();

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
    CLEANER.register(buffer, this::returned);
    buffers++;
    return buffer;
  }

  /** The tensor is closed: frees the memory, now or when the last buffer is gone. */
  void close() {
    synchronized (this) {
      closed = true;
      if (buffers > 0) return;
    }
    free.run();
  }

  private void returned() {
    synchronized (this) {
      buffers--;
      if (buffers > 0 || !closed) return;
    }
    free.run();
  }
}
