package org.winnow;

/**
 * Operations that were issued once and can be run again as one, without the host's work for each:
 * see {@link Backend#capture}.
 */
public interface CapturedStep extends AutoCloseable {
  /**
   * Runs the operations again, on the same tensors, after those issued before.
   *
   * @throws IllegalStateException if it, or the backend, is closed
   */
  void run();

  /** Waits until it no longer runs. May be called twice; the backend's close does it too. */
  @Override
  void close();
}
