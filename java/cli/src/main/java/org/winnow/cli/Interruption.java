package org.winnow.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.winnow.models.Cancellation;

/**
 * Turns Ctrl-C (or another request to end the process) into a {@link Cancellation} and gives the
 * command time for its last output.
 */
final class Interruption implements AutoCloseable {
  /** Enough for a token of a large model on a slow disk. */
  private static final long PATIENCE_SECONDS = 10;

  private final Cancellation cancellation = new Cancellation();
  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook = new Thread(this::cancelAndWait, "winnow-interruption");

  Interruption() {
    try {
      Runtime.getRuntime().addShutdownHook(hook);
    } catch (IllegalStateException e) {
      cancellation.cancel(); // the process is ending already
    }
  }

  Cancellation cancellation() {
    return cancellation;
  }

  /** The shutdown hook. The JVM exits when it returns. */
  private void cancelAndWait() {
    cancellation.cancel();
    try {
      finished.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      // Nothing interrupts a shutdown hook. If something does, the process may end.
      Thread.currentThread().interrupt();
    }
  }

  /** Tells the hook that the command has printed everything. */
  @Override
  public void close() {
    finished.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending and the hook is running. It returns now.
    }
  }
}
