package org.winnow.models;

/**
 * Receives how far the opening of a model is, on the thread that opens it. Experts do not count:
 * they are read later.
 */
@FunctionalInterface
public interface LoadProgress {
  /** Ignores the progress. */
  LoadProgress NONE = (readBytes, totalBytes) -> {};

  /**
   * Called after each weight that is read. An exception ends the opening and is thrown by {@code
   * open}.
   *
   * @param readBytes bytes read so far, as they are stored
   * @param totalBytes bytes of all weights that opening reads
   */
  void onBytesRead(long readBytes, long totalBytes);
}
