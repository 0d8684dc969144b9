package org.winnow.models;

/**
 * Ends generations from another thread, at the next token or prompt chunk. A cancellation is
 * permanent, so use a new object for each generation or group of generations.
 */
public final class Cancellation {
  private volatile boolean cancelled;

  /** Asks every generation that uses this object to end. Returns at once. */
  public void cancel() {
    cancelled = true;
  }

  public boolean isCancelled() {
    return cancelled;
  }
}
