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
 *
 * <pre>{@code
 * NativeCall call = NativeCall.enter();
 * try {
 *   ... checks, call.arguments(), the native call ...
 * } finally {
 *   call.exit();
 * }
 * }</pre>
 *
 * <p>Each thread has one, entered again from inside: only the outermost counts.
 */
public final class NativeCall {
  private static final AtomicLong[] RUNNING = {new AtomicLong(), new AtomicLong()};
  private static final ThreadLocal<NativeCall> OF_THREAD = ThreadLocal.withInitial(NativeCall::new);
  private static volatile int epoch;
  private static final AtomicLong CLOSINGS = new AtomicLong();

  private int depth;
  private int ticket; // the epoch that the outermost entry is counted in
  private ThreadArguments arguments;

  private NativeCall() {}

  /** Always followed by try and finally. */
  public static NativeCall enter() {
    NativeCall call = OF_THREAD.get();
    if (call.depth++ == 0) {
      call.ticket = epoch;
      RUNNING[call.ticket].incrementAndGet();
    }
    return call;
  }

  /** On the thread that entered. */
  public void exit() {
    if (--depth == 0) RUNNING[ticket].decrementAndGet();
  }

  /** The argument structs of this thread, for one operation at a time. */
  public ThreadArguments arguments() {
    ThreadArguments present = arguments;
    if (present == null) arguments = present = new ThreadArguments();
    return present;
  }

  /** Whether this thread has entered and not exited: it must not wait for others that close. */
  static boolean isInside() {
    return OF_THREAD.get().depth > 0;
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
   * Changes whenever something has been marked closed: a call that finds the same number as before
   * need not look again whether its objects are open.
   */
  public static long closings() {
    return CLOSINGS.get();
  }

  /** Something has been marked closed whose memory nobody frees; else {@link #awaitRunning}. */
  public static void noteClosing() {
    CLOSINGS.incrementAndGet();
  }

  /**
   * Returns when every call that entered before has exited.
   *
   * @throws IllegalStateException if called from inside a call, which would wait for itself
   */
  public static void awaitRunning() {
    requireOutside();
    noteClosing();
    synchronized (NativeCall.class) {
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
