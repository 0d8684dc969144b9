package org.winnow.models;

import java.util.ArrayList;
import java.util.List;

/** What runs on a model, so that {@code close()} can end it and wait for it. */
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
   * Lets nothing begin any more and returns when nothing runs.
   *
   * @return whether this is the first call
   * @throws IllegalStateException on a thread that runs, which would wait for itself
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
