package org.winnow.internal;

import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Lets {@code close()} wait for running native calls. A call costs two atomic additions, however
 * many objects it uses. This is sleepable read-copy-update: each call counts itself into one of two
 * epochs, and a closer waits until both have drained.
 *
 * <p>A call enters, checks that its objects are open, and runs. A closer marks its object as
 * closed, then waits for running calls. So a call either sees the mark, or the closer waits for it.
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
 * <p>Each thread has one instance. Calls may nest; only the outermost one is counted.
 */
public final class NativeCall {
  private static final AtomicLong[] RUNNING = {new AtomicLong(), new AtomicLong()};
  private static final ThreadLocal<NativeCall> OF_THREAD = ThreadLocal.withInitial(NativeCall::new);
  private static volatile int epoch;
  private static final AtomicLong CLOSINGS = new AtomicLong();

  private int depth;
  private int holds; // layers whose experts this thread holds without being in a call
  private int ticket; // the epoch that counts the outermost entry
  private @Nullable ThreadArguments arguments;

  private NativeCall() {}

  /** Enters a call. The caller must call {@link #exit} in a finally block. */
  public static NativeCall enter() {
    NativeCall call = OF_THREAD.get();
    if (call.depth++ == 0) {
      call.ticket = epoch;
      RUNNING[call.ticket].incrementAndGet();
    }
    return call;
  }

  /** Leaves a call, on the thread that entered it. */
  public void exit() {
    if (--depth == 0) RUNNING[ticket].decrementAndGet();
  }

  /** The argument structs of this thread. One operation at a time may use them. */
  public ThreadArguments arguments() {
    @Nullable ThreadArguments present = arguments;
    if (present == null) arguments = present = new ThreadArguments();
    return present;
  }

  /**
   * This thread holds experts until {@link #holdEnds}, outside any call. Others may wait for them.
   */
  public static void holdBegins() {
    OF_THREAD.get().holds++;
  }

  /** Ends what {@link #holdBegins} began, on the same thread. */
  public static void holdEnds() {
    OF_THREAD.get().holds--;
  }

  /** Whether others may be waiting for this thread, so that it must not wait for them. */
  static boolean mustNotWait() {
    NativeCall call = OF_THREAD.get();
    return call.depth > 0 || call.holds > 0;
  }

  /** Whether this thread is inside a call. It must not wait for a closing thread then. */
  static boolean isInside() {
    return OF_THREAD.get().depth > 0;
  }

  /**
   * A closer calls this before it marks anything as closed.
   *
   * @throws IllegalStateException if called from inside a call, which would wait for itself
   */
  public static void requireOutside() {
    if (isInside())
      throw new IllegalStateException(
          "close() called from inside an operation or while experts are held");
  }

  /**
   * A number that changes whenever an object is marked as closed. While it is unchanged, a caller
   * need not check again that its objects are open.
   */
  public static long closings() {
    return CLOSINGS.get();
  }

  /**
   * Records that an object has been marked as closed, if it owns no memory. Owners of memory call
   * {@link #awaitRunning} instead.
   */
  public static void noteClosing() {
    CLOSINGS.incrementAndGet();
  }

  /**
   * Waits until every call that entered earlier has exited.
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
