package org.winnow.cpu;

import org.winnow.Backend;
import org.winnow.BackendUnavailableException;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;
import org.winnow.internal.CpuOperations;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeOperations;
import org.winnow.internal.NativeLoader;

/** Handwritten SIMD kernels on a team of threads of its own. */
public final class CpuBackend extends Backend {
  /** More than any machine has processors. */
  public static final int MAX_THREADS = 1024;

  /** As {@link Backend#require} takes it. */
  public static final String NAME = "cpu";

  private final InstructionSet instructionSet;
  private final int numThreads;
  private final long cpu;
  private volatile boolean closed;

  /** The widest instruction set and as many threads as the machine has processors. */
  public CpuBackend() {
    this(InstructionSet.best(), Math.min(Runtime.getRuntime().availableProcessors(), MAX_THREADS));
  }

  /**
   * @param numThreads the caller of an operation counts as one
   * @throws IllegalArgumentException if this machine does not run the instruction set, or {@code
   *     numThreads} is not in [1, {@link #MAX_THREADS}]
   * @throws BackendUnavailableException if the system refuses so many threads
   */
  public CpuBackend(InstructionSet instructionSet, int numThreads) {
    if (!instructionSet.isSupported()) {
      throw new IllegalArgumentException(
          "instructionSet must be supported by this machine (up to "
              + InstructionSet.best()
              + "), found "
              + instructionSet);
    }
    if (numThreads < 1 || numThreads > MAX_THREADS)
      throw new IllegalArgumentException(
          "numThreads must lie in [1, " + MAX_THREADS + "], found " + numThreads);
    NativeLoader.load();
    this.instructionSet = instructionSet;
    this.numThreads = numThreads;
    this.cpu = NativeOperations.winnow_cpu_open(instructionSet.code(), numThreads);
    if (cpu == 0)
      throw new BackendUnavailableException(
          NAME,
          numThreads + " threads cannot be started: " + NativeOperations.winnow_last_error());
    Internals.install(
        this,
        new CpuOperations() {
          @Override
          protected long cpu() {
            return handle();
          }
        });
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return NAME
        + ": "
        + instructionSet
        + ", "
        + numThreads
        + (numThreads == 1 ? " thread" : " threads");
  }

  public InstructionSet instructionSet() {
    return instructionSet;
  }

  public int numThreads() {
    return numThreads;
  }

  @Override
  public TensorMemory memory() {
    return TensorMemory.host();
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) return;
      closed = true;
    }
    NativeCall.awaitRunning();
    NativeOperations.winnow_cpu_close(cpu);
  }

  /** The native context, for calls from this package. */
  long handle() {
    if (closed) throw new IllegalStateException("backend cpu is closed");
    return cpu;
  }
}
