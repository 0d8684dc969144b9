package org.winnow.internal;

import java.util.concurrent.locks.ReentrantLock;

/** A lock for an object that issues operations for one thread at a time. */
public final class TurnLock extends ReentrantLock {
  private static final long serialVersionUID = 1L;

  private final String name;

  /**
   * @param name the object's name for messages
   */
  public TurnLock(String name) {
    this.name = name;
  }

  /**
   * Waits until no other thread holds the lock.
   *
   * @throws IllegalStateException if another thread holds the lock and waiting could deadlock,
   *     because this thread captures a step or holds experts: the other thread may be waiting for
   *     the end of either
   */
  @Override
  public void lock() {
    if (tryLock()) return;
    if (NativeCall.mustNotWait())
      throw new IllegalStateException(
          name
              + " is in use by another thread; a thread that captures a step or holds experts"
              + " cannot wait for it");
    super.lock();
  }
}
