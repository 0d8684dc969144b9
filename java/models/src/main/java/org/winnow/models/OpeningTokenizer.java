package org.winnow.models;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A tokenizer that is opened by a thread of its own while the weights are read. What is wrong with
 * it is thrown before what is wrong with the weights. It is closed unless it is handed over. The
 * thread has ended when this is closed.
 */
final class OpeningTokenizer implements AutoCloseable {
  private final @Nullable Thread thread; // null if the folder has none
  // written by the thread, read after it has ended
  private @Nullable Tokenizer tokenizer;
  private @Nullable RuntimeException exception;
  private @Nullable Error error;
  private boolean handedOver;

  OpeningTokenizer(Path folder) {
    thread = Tokenizer.isIn(folder) ? new Thread(() -> open(folder), "winnow-tokenizer") : null;
    if (thread == null) return;
    thread.setDaemon(true);
    thread.start();
  }

  private void open(Path folder) {
    try {
      tokenizer = Tokenizer.open(folder);
    } catch (RuntimeException e) {
      exception = e;
    } catch (Error e) {
      error = e;
    }
  }

  /** This listener, after which opening ends as soon as the tokenizer is found to be wrong. */
  LoadProgress watched(LoadProgress progress) {
    return (readBytes, totalBytes) -> {
      if (thread != null && !thread.isAlive()) opened();
      progress.onBytesRead(readBytes, totalBytes);
    };
  }

  /**
   * Waits for the tokenizer, whether or not this thread is interrupted; null if the folder has
   * none.
   *
   * @throws RuntimeException what {@link Tokenizer#open} throws
   */
  @Nullable Tokenizer opened() {
    awaitThread();
    if (exception != null) throw exception;
    if (error != null) throw error;
    return tokenizer;
  }

  private void awaitThread() {
    boolean interrupted = false;
    while (thread != null && thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true; // a file is read soon
      }
    }
    if (interrupted) Thread.currentThread().interrupt();
  }

  /** From now on the caller closes the tokenizer. */
  void handOver() {
    handedOver = true;
  }

  @Override
  public void close() {
    awaitThread();
    if (!handedOver && tokenizer != null) tokenizer.close();
  }
}
