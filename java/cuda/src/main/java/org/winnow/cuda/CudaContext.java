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
 * A device's primary context, its kernels and its streams. One thread at a time issues work. It
 * {@link #enter enters} the context, which makes the context current for this thread, and leaves
 * after enqueuing its work.
 *
 * <p>Some errors, such as an illegal address, destroy the context and poison this object. Every
 * later use throws and names the call that detected the error.
 */
final class CudaContext {
  private final CudaDevice device;
  private final CUctx_st handle = new CUctx_st();
  private final ReentrantLock lock = new ReentrantLock();
  private final ReentrantLock copyLock =
      new ReentrantLock(); // taken after lock by threads that take both
  private final Map<String, KernelModule> modules = new HashMap<>();
  private final Set<CudaGraph.Executable> graphs = new HashSet<>();
  private final CudaStream compute;
  private final CudaStream copy;
  private final Entry computing;
  private final Entry copying;

  /** The error that destroyed the context, and the operation that detected it. */
  private record Poison(CudaException cause, String operation) {}

  private String operation = "opening"; // the current operation of the thread in the context
  private volatile @Nullable Poison poison;
  private boolean capturing;
  private volatile boolean closed; // no new work is accepted
  private volatile boolean released; // everything is released

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
      cuDevicePrimaryCtxRelease(
          CudaDevice.handle(device.ordinal())); // releases everything created in it
      throw e;
    }
    computing = new Entry(lock, compute);
    copying = new Entry(copyLock, copy);
  }

  /** Permission to use a stream of the context until this is closed. */
  static final class Entry implements AutoCloseable {
    private final ReentrantLock lock;
    private final CudaStream stream;

    private Entry(ReentrantLock lock, CudaStream stream) {
      this.lock = lock;
      this.stream = stream;
    }

    /** The stream, which runs its work in the order of the calls. */
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
   * @param what the operation's name for messages
   * @throws IllegalStateException if it is closed
   * @throws CudaException if an earlier error destroyed the context
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
   * As {@link #enter}, for the stream of copies that run concurrently with operations. It does not
   * wait for a thread that has entered the context and waits for the device. Only events order the
   * two streams.
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
   * As {@link #enter}, for calls that cannot be part of a captured step.
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

  /**
   * Whether the device can no longer be used, because this is closed or an error destroyed the
   * context.
   */
  boolean isGone() {
    return closed || poison != null;
  }

  boolean isCapturing() {
    return capturing;
  }

  void setCapturing(boolean capturing) {
    this.capturing = capturing;
  }

  /** A kernel of {@code <module>_cuda.cu}. Its module is loaded at the first launch. */
  Kernel kernel(String module, String name) {
    return new Kernel(this, module, name);
  }

  KernelModule module(String name) {
    return modules.computeIfAbsent(name, n -> KernelModule.load(this, n));
  }

  /**
   * @throws CudaException unless the call succeeded; if the error destroyed the context, all later
   *     uses throw too
   */
  void check(int status, String call) {
    if (status != CudaError.SUCCESS) throw failure(status, call, "");
  }

  /** The exception for a failed call. Poisons this if the error destroyed the context. */
  CudaException failure(int status, String call, String detail) {
    CudaException failure = CudaError.exception(status, call, detail);
    if (poison == null && CudaError.isSticky(status))
      poison = new Poison(failure, lock.isHeldByCurrentThread() ? operation : "a concurrent copy");
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

  /** Registers a graph, which closing the context destroys. Called inside the context. */
  CudaGraph.Executable adopt(CudaGraph.Executable graph) {
    graphs.add(graph);
    return graph;
  }

  /** Whether there are captured steps, which may run again. */
  boolean hasGraphs() {
    return !graphs.isEmpty();
  }

  void disown(CudaGraph.Executable graph) {
    graphs.remove(graph);
  }

  /** Waits for all work on both streams. */
  void synchronize() {
    compute.synchronize();
    copy.synchronize();
  }

  /**
   * Waits for all work, then releases everything. May be called twice and from several threads;
   * every call returns after everything is released.
   *
   * @param memory memory of this context; null if opening the backend failed before it existed
   * @throws IllegalStateException if this thread is inside a call; nothing is closed then
   */
  void close(@Nullable CudaMemory memory) {
    if (released) return;
    if (lock.isHeldByCurrentThread()) refuseInCapture("closing the backend");
    NativeCall.awaitRunning();
    lock.lock();
    closed = true;
    lock.unlock();
    NativeCall.awaitRunning(); // waits for calls that fill pinned memory; new ones find the context
    // closed
    lock.lock();
    copyLock.lock();
    try {
      if (released) return; // another thread did it
      cuCtxSetCurrent(handle);
      if (poison == null) awaitLastWork();
      // Statuses are ignored: these calls fail only if the context is destroyed.
      graphs.forEach(CudaGraph.Executable::destroy);
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
   * Waits for both streams. Errors are ignored, because they concern results that are about to be
   * released.
   */
  private void awaitLastWork() {
    cuStreamSynchronize(compute.handle());
    cuStreamSynchronize(copy.handle());
  }
}
