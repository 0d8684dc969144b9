package org.winnow;

/**
 * A captured sequence of operations. Running it again costs the host one call for all of them. See
 * {@link Backend#capture}.
 */
public interface CapturedStep extends AutoCloseable {
  /**
   * Runs the operations on the same tensors. They start after all operations issued earlier.
   *
   * @throws IllegalStateException if this or the backend is closed
   */
  void run();

  /**
   * Waits for a running execution, then releases the step. May be called twice. Closing the backend
   * closes its steps too.
   */
  @Override
  void close();
}
