package org.winnow.internal;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/**
 * Lets {@code close()} wait for the native calls that are running, at the cost of two atomic
 * additions per call and whatever the number of objects the call uses (sleepable read-copy-update:
 * readers count themselves into one of two epochs, a closer waits for both to drain).
 *
 * <p>A call enters, then checks that its objects are open, then runs. A closer marks its object
 * closed, then awaits. So a call either sees the mark or is waited for.
 */
public final class NativeCalls {
  private static final AtomicLong[] RUNNING = {new AtomicLong(), new AtomicLong()};
  private static final ThreadLocal<int[]> DEPTH = ThreadLocal.withInitial(() -> new int[1]);
  private static volatile int epoch;

  private NativeCalls() {}

  /** Returns the ticket for {@link #exit}. Always followed by try and finally. */
  public static int enter() {
    DEPTH.get()[0]++;
    int ticket = epoch;
    RUNNING[ticket].incrementAndGet();
    return ticket;
  }

  public static void exit(int ticket) {
    RUNNING[ticket].decrementAndGet();
    DEPTH.get()[0]--;
  }

  /** Whether this thread has entered and not exited: it must not wait for others that close. */
  static boolean isInside() {
    return DEPTH.get()[0] > 0;
  }

  /**
   * For a closer, before it marks anything closed.
   *
   * @throws IllegalStateException if called from inside a call, which would wait for itself
   */
  public static void requireOutside() {
    if (isInside())
      throw new IllegalStateException(
          "close() called from inside an operation or while experts are held");
  }

  /**
   * Returns when every call that entered before has exited.
   *
   * @throws IllegalStateException if called from inside a call, which would wait for itself
   */
  public static void awaitRunning() {
    requireOutside();
    synchronized (NativeCalls.class) {
      for (int flip = 0; flip < 2; flip++) {
        int old = epoch;
        epoch = 1 - old;
        for (int spin = 0; RUNNING[old].get() != 0; spin++) {
          if (spin < 1000) Thread.onSpinWait();
          else LockSupport.parkNanos(100_000);
        }
      }
    }
  }
}
