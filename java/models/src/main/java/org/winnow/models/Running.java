package org.winnow.models;

import java.util.ArrayList;
import java.util.List;

/** Tracks the calls that run on a model, so that {@code close()} can end them and wait for them. */
final class Running {
  private final List<Thread> threads = new ArrayList<>(); // one entry for each call that runs
  private volatile boolean closing;

  /**
   * @throws IllegalStateException after {@link #close()}
   */
  synchronized void enter() {
    if (closing) throw new IllegalStateException("model is closed");
    threads.add(Thread.currentThread());
  }

  synchronized void exit() {
    threads.remove(Thread.currentThread());
    notifyAll();
  }

  boolean isClosing() {
    return closing;
  }

  /**
   * Refuses new calls, then returns when no call is running.
   *
   * @return whether this is the first call
   * @throws IllegalStateException if the calling thread is itself inside a call: it would wait for
   *     itself
   */
  synchronized boolean close() {
    if (threads.contains(Thread.currentThread()))
      throw new IllegalStateException("close() called from inside a generation");
    boolean first = !closing;
    closing = true;
    boolean interrupted = false;
    while (!threads.isEmpty()) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) Thread.currentThread().interrupt();
    return first;
  }
}
