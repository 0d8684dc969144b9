package org.winnow.cli;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.winnow.models.Cancellation;

/**
 * Turns Ctrl-C (or another request to end the process) into a {@link Cancellation} and leaves the
 * command the time for its last words.
 */
final class Interruption implements AutoCloseable {
  private static final long PATIENCE_SECONDS = 10; // a token of a large model on a slow disk

  private final Cancellation cancellation = new Cancellation();
  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook = new Thread(this::cancelAndWait, "winnow-interruption");

  Interruption() {
    Runtime.getRuntime().addShutdownHook(hook);
  }

  Cancellation cancellation() {
    return cancellation;
  }

  /** The JVM ends when this returns. */
  private void cancelAndWait() {
    cancellation.cancel();
    try {
      finished.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread()
          .interrupt(); // nobody interrupts a shutdown hook; if somebody does, the process may end
    }
  }

  /** The command has said all it has to say. */
  @Override
  public void close() {
    finished.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The process is ending and the hook is running: it returns now.
    }
  }
}
