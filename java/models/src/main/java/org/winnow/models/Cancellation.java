package org.winnow.models;

/**
 * Ends generations from another thread, at the next token or prompt chunk. It stays cancelled: one
 * for each generation, or for a group of them.
 */
public final class Cancellation {
  private volatile boolean cancelled;

  /** Asks every generation that was given this to end; returns at once. */
  public void cancel() {
    cancelled = true;
  }

  public boolean isCancelled() {
    return cancelled;
  }
}
