package org.winnow.internal;

import java.util.concurrent.locks.ReentrantLock;

/** Lets one thread at a time into an object that issues operations. */
public final class TurnLock extends ReentrantLock {
  private static final long serialVersionUID = 1L;

  private final String name;

  /**
   * @param name of the object, for messages
   */
  public TurnLock(String name) {
    this.name = name;
  }

  /**
   * Waits for its turn.
   *
   * @throws IllegalStateException if another thread is in there and this one may not wait for it:
   *     it captures a step, whose end the other waits for, or holds experts that a close of the
   *     other's would wait for
   */
  @Override
  public void lock() {
    if (tryLock()) return;
    if (NativeCall.isInside())
      throw new IllegalStateException(
          name
              + " is in use by another thread: who captures a step or holds experts cannot wait for"
              + " it");
    super.lock();
  }
}
