package org.winnow.internal;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Lets {@code close()} wait for running native calls. A call costs one volatile write, however many
 * objects it uses, and threads share nothing that they write.
 *
 * <p>A call enters, checks that its objects are open, and runs. A closer marks its object as
 * closed, then waits for the threads that are in a call. So a call either sees the mark, or the
 * closer waits for it.
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
 * <p>Each thread has one instance. Calls may nest; only the outermost one is counted. A closer
 * reads the instance of every thread that has ever made a call and has not been collected.
 *
 * <p>A thread refers to its instance weakly, and this class keeps it. A strong reference would keep
 * this class's loader for as long as the thread lives.
 */
public final class NativeCall {
  private static final ThreadLocal<@Nullable Reference<OfThread>> OF_THREAD = new ThreadLocal<>();

  /**
   * The instances of some threads, each at a place that its thread's number gives, because a look
   * here is faster than one at the local value. The first thread of a place keeps it. Read and
   * written without synchronisation: whatever is found is checked, and what it refers to is final.
   */
  private static final @Nullable OfThread[] AT_HAND = new @Nullable OfThread[256];

  private static final AtomicLong CLOSINGS = new AtomicLong();
  private static final VarHandle PASSED;

  static {
    try {
      PASSED = MethodHandles.lookup().findVarHandle(NativeCall.class, "passed", long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  /** The instances of all living threads; guards itself. */
  private static final Set<OfThread> ALL = new HashSet<>();

  private static final ReferenceQueue<Thread> DEAD_THREADS = new ReferenceQueue<>();

  /** Keeps a thread's instance until the thread has been collected. */
  private static final class OfThread extends WeakReference<Thread> {
    final NativeCall call;

    OfThread(Thread thread, NativeCall call) {
      super(thread, DEAD_THREADS);
      this.call = call;
    }
  }

  /**
   * Changes when this thread begins or ends an outermost call; odd inside one. A stack that
   * overflows between two steps here may leave it odd, never even inside a call.
   */
  private volatile long passed;

  private int depth;
  private int holds; // layers whose experts this thread holds without being in a call
  private @Nullable ThreadArguments arguments;

  private NativeCall() {}

  private static NativeCall ofThread() {
    Thread thread = Thread.currentThread();
    @Nullable OfThread found = AT_HAND[place(thread)];
    return found != null && found.refersTo(thread) ? found.call : ofLocal(thread);
  }

  private static int place(Thread thread) {
    return (int) thread.getId() & (AT_HAND.length - 1);
  }

  private static NativeCall ofLocal(Thread thread) {
    @Nullable Reference<OfThread> reference = OF_THREAD.get();
    @Nullable OfThread found = reference == null ? null : reference.get();
    return found == null ? ofNewThread(thread) : found.call;
  }

  private static NativeCall ofNewThread(Thread thread) {
    OfThread made = new OfThread(thread, new NativeCall());
    synchronized (ALL) {
      for (Reference<?> dead; (dead = DEAD_THREADS.poll()) != null; ) forget((OfThread) dead);
      ALL.add(made);
      if (AT_HAND[place(thread)] == null) AT_HAND[place(thread)] = made;
    }
    OF_THREAD.set(new WeakReference<>(made));
    return made.call;
  }

  private static void forget(OfThread dead) {
    ALL.remove(dead);
    for (int i = 0; i < AT_HAND.length; i++) {
      if (AT_HAND[i] == dead) AT_HAND[i] = null;
    }
  }

  /** Enters a call. The caller must call {@link #exit} in a finally block. */
  public static NativeCall enter() {
    NativeCall call = ofThread();
    if (call.depth == 0) PASSED.setVolatile(call, ((long) PASSED.get(call) + 1) | 1);
    call.depth++;
    return call;
  }

  /** Leaves a call, on the thread that entered it. */
  public void exit() {
    if (depth == 1) PASSED.setRelease(this, ((long) PASSED.get(this) | 1) + 1);
    depth--;
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
    ofThread().holds++;
  }

  /** Ends what {@link #holdBegins} began, on the same thread. */
  public static void holdEnds() {
    ofThread().holds--;
  }

  /** Whether others may be waiting for this thread, so that it must not wait for them. */
  static boolean mustNotWait() {
    NativeCall call = ofThread();
    return call.depth > 0 || call.holds > 0;
  }

  /** Whether this thread is inside a call. It must not wait for a closing thread then. */
  static boolean isInside() {
    return ofThread().depth > 0;
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
    for (NativeCall call : all()) {
      long seen = call.passed;
      if (seen % 2 == 0) continue;
      for (int spin = 0; call.passed == seen; spin++) {
        if (spin < 1000) Thread.onSpinWait();
        else LockSupport.parkNanos(100_000);
      }
    }
  }

  /** A thread that is not among these yet will see every mark that has been set. */
  private static List<NativeCall> all() {
    List<NativeCall> calls = new ArrayList<>();
    synchronized (ALL) {
      for (OfThread thread : ALL) calls.add(thread.call);
    }
    return calls;
  }
}
