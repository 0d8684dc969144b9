package org.winnow.internal;

import java.util.concurrent.locks.ReentrantLock;
import org.winnow.Backend;

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
   * @throws IllegalStateException if this thread captures a step and another is in there: it cannot
   *     leave before the step is captured
   */
  public void lock(Backend backend) {
    if (tryLock()) return;
    if (backend.isCapturing())
      throw new IllegalStateException(
          name + " is in use by another thread: a step that is being captured cannot wait for it");
    lock();
  }
}
