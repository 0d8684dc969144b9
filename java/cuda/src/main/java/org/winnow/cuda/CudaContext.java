package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuCtxSetCurrent;
import static org.bytedeco.cuda.global.cudart.cuDevicePrimaryCtxRelease;
import static org.bytedeco.cuda.global.cudart.cuDevicePrimaryCtxRetain;
import static org.bytedeco.cuda.global.cudart.cuStreamSynchronize;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReentrantLock;
import org.bytedeco.cuda.cudart.CUctx_st;
import org.jspecify.annotations.Nullable;
import org.winnow.internal.NativeCall;

/**
 * A device's primary context, its kernels and its streams. One thread at a time issues work: it
 * {@link #enter enters}, which makes the context current for it, and leaves when all is enqueued.
 *
 * <p>An error that takes the context away (an illegal address, say) poisons it: every later use
 * throws, and says which call found it.
 */
final class CudaContext {
  private final CudaDevice device;
  private final CUctx_st handle = new CUctx_st();
  private final ReentrantLock lock = new ReentrantLock();
  private final ReentrantLock copyLock = new ReentrantLock(); // taken after the other, if both are
  private final Map<String, KernelModule> modules = new HashMap<>();
  private final Set<CudaGraph> graphs = new HashSet<>();
  private final CudaStream compute;
  private final CudaStream copy;
  private final Entry computing;
  private final Entry copying;

  /** What lost the context, and the operation that found it. */
  private record Poison(CudaException cause, String operation) {}

  private String operation = "opening"; // what the thread in the context is about
  private volatile @Nullable Poison poison;
  private boolean capturing;
  private volatile boolean closed; // nothing begins any more
  private volatile boolean released; // and all is done

  CudaContext(CudaDevice device) {
    this.device = device;
    CudaError.check(
        cuDevicePrimaryCtxRetain(handle, CudaDevice.handle(device.ordinal())),
        "cuDevicePrimaryCtxRetain");
    try {
      check(cuCtxSetCurrent(handle), "cuCtxSetCurrent");
      compute = new CudaStream(this);
      copy = new CudaStream(this);
    } catch (RuntimeException | Error e) {
      cuDevicePrimaryCtxRelease(CudaDevice.handle(device.ordinal())); // with what was created
      throw e;
    }
    computing = new Entry(lock, compute);
    copying = new Entry(copyLock, copy);
  }

  /** The right to use a stream of the context until this is closed. */
  static final class Entry implements AutoCloseable {
    private final ReentrantLock lock;
    private final CudaStream stream;

    private Entry(ReentrantLock lock, CudaStream stream) {
      this.lock = lock;
      this.stream = stream;
    }

    /** Where operations run, or copies beside them, in the order of their calls. */
    CudaStream stream() {
      return stream;
    }

    @Override
    public void close() {
      lock.unlock();
    }
  }

  CudaDevice device() {
    return device;
  }

  String name() {
    return CudaBackend.NAME + ":" + device.ordinal();
  }

  /**
   * Waits until no other thread is in the context, then takes it.
   *
   * @param what the operation, for messages
   * @throws IllegalStateException if it is closed
   * @throws CudaException if an earlier call lost it
   */
  Entry enter(String what) {
    lock.lock();
    try {
      makeCurrent();
      operation = what;
      return computing;
    } catch (Throwable e) {
      lock.unlock();
      throw e;
    }
  }

  /**
   * As {@link #enter}, for the stream of copies that run beside operations: not held up by a thread
   * that issued some and waits for the device. Only events order the two streams.
   */
  Entry enterCopyStream() {
    copyLock.lock();
    try {
      makeCurrent();
      return copying;
    } catch (Throwable e) {
      copyLock.unlock();
      throw e;
    }
  }

  void requireOpen() {
    if (closed) throw new IllegalStateException("backend " + name() + " is closed");
  }

  private void makeCurrent() {
    requireOpen();
    @Nullable Poison found = poison;
    if (found != null) throw poisoned(found);
    CudaError.check(cuCtxSetCurrent(handle), "cuCtxSetCurrent");
  }

  /**
   * As {@link #enter}, for what a captured step cannot hold.
   *
   * @throws IllegalStateException if this thread is capturing a step
   */
  Entry enterOutsideCapture(String what) {
    Entry entered = enter(what);
    try {
      refuseInCapture(what);
      return entered;
    } catch (Throwable e) {
      entered.close();
      throw e;
    }
  }

  void refuseInCapture(String what) {
    if (capturing)
      throw new IllegalStateException(
          what + " is not possible while a step is being captured: do it before or after");
  }

  boolean isClosed() {
    return closed;
  }

  /** Whether nothing of the device can be used any more: closed, or lost to an error. */
  boolean isGone() {
    return closed || poison != null;
  }

  boolean isCapturing() {
    return capturing;
  }

  void setCapturing(boolean capturing) {
    this.capturing = capturing;
  }

  /** A kernel of {@code <module>_cuda.cu}; nothing is loaded before it is first launched. */
  Kernel kernel(String module, String name) {
    return new Kernel(this, module, name);
  }

  KernelModule module(String name) {
    return modules.computeIfAbsent(name, n -> KernelModule.load(this, n));
  }

  /**
   * @throws CudaException unless the call succeeded; if it found the context lost, all later uses
   *     throw too
   */
  void check(int status, String call) {
    if (status != CudaError.SUCCESS) throw failure(status, call, "");
  }

  /** The exception for a call that failed; poisons the context if that is lost. */
  CudaException failure(int status, String call, String detail) {
    CudaException failure = CudaError.exception(status, call, detail);
    if (poison == null && CudaError.isSticky(status))
      poison =
          new Poison(
              failure, lock.isHeldByCurrentThread() ? operation : "a copy beside operations");
    return failure;
  }

  private CudaException poisoned(Poison poison) {
    return new CudaException(
        "backend "
            + name()
            + " is unusable since "
            + poison.cause.getMessage()
            + " (found in "
            + poison.operation
            + "; operations run later than they are called, so an earlier one may be the cause):"
            + " everything on the device is lost, close the backend and start the process anew",
        poison.cause);
  }

  /** Keeps a graph until it or the context is closed. Called inside the context. */
  CudaGraph adopt(CudaGraph graph) {
    graphs.add(graph);
    return graph;
  }

  /** Whether a captured step may run again. */
  boolean hasGraphs() {
    return !graphs.isEmpty();
  }

  void disown(CudaGraph graph) {
    graphs.remove(graph);
  }

  /** Waits for all work. */
  void synchronize() {
    compute.synchronize();
    copy.synchronize();
  }

  /**
   * Waits for all work, then releases everything. May be called twice, and from several threads:
   * returns when all is released.
   *
   * @param memory of this context; null if opening the backend failed before there was one
   * @throws IllegalStateException in a call that is running; nothing is closed then
   */
  void close(@Nullable CudaMemory memory) {
    if (released) return;
    if (lock.isHeldByCurrentThread()) refuseInCapture("closing the backend");
    NativeCall.awaitRunning();
    lock.lock();
    closed = true;
    lock.unlock();
    NativeCall.awaitRunning(); // those that fill pinned memory; nothing begins any more
    lock.lock();
    copyLock.lock();
    try {
      if (released) return; // by another thread meanwhile
      cuCtxSetCurrent(handle);
      if (poison == null) awaitLastWork();
      // Statuses are not looked at: all that can fail here is a context that is lost.
      graphs.forEach(CudaGraph::destroy);
      modules.values().forEach(KernelModule::close);
      if (memory != null) memory.close();
      compute.close();
      copy.close();
      cuDevicePrimaryCtxRelease(CudaDevice.handle(device.ordinal()));
      released = true;
    } finally {
      copyLock.unlock();
      lock.unlock();
    }
  }

  /**
   * An error of the last operations is thrown to nobody who could use it: they wrote memory that
   * goes.
   */
  private void awaitLastWork() {
    cuStreamSynchronize(compute.handle());
    cuStreamSynchronize(copy.handle());
  }
}
