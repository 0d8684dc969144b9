package org.winnow.cpu;

import org.winnow.Backend;
import org.winnow.BackendUnavailableException;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.internal.CpuOperations;
import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.NativeLoader;
import org.winnow.internal.NativeOperations;
import org.winnow.internal.Release;
import org.winnow.internal.Status;
import org.winnow.internal.TopKRouterArguments;

/**
 * Runs handwritten SIMD kernels on the CPU with its own team of threads. The threads of a backend
 * that was not closed end after it has been collected.
 */
public final class CpuBackend extends Backend {
  /** Upper bound of {@code numThreads}, above the number of processors of any machine. */
  public static final int MAX_THREADS = 1024;

  /** The name for {@link Backend#require}. */
  public static final String NAME = "cpu";

  private final InstructionSet instructionSet;
  private final int numThreads;
  private final long cpu;
  private final Release release;
  private volatile boolean closed;

  /** Opens a backend with the widest supported instruction set and one thread per processor. */
  public CpuBackend() {
    this(InstructionSet.best(), Math.min(Runtime.getRuntime().availableProcessors(), MAX_THREADS));
  }

  /**
   * @param numThreads number of threads, including the thread that calls an operation
   * @throws IllegalArgumentException if this machine does not support the instruction set, or
   *     {@code numThreads} is not in [1, {@link #MAX_THREADS}]
   * @throws BackendUnavailableException if the system cannot start so many threads
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
          NAME, numThreads + " threads cannot be started: " + NativeOperations.winnow_last_error());
    long opened = cpu;
    this.release = new Release(this, () -> NativeOperations.winnow_cpu_close(opened));
    Internals.install(
        this,
        new CpuOperations() {
          @Override
          protected long cpu() {
            return handle();
          }

          @Override
          public Status topKRouterWithPlan(TopKRouterArguments router, ExpertPlanArguments plan) {
            Status status = topKRouter(router);
            if (status == Status.DONE
                && expertPlan(plan.numRows(router.detail())) == Status.REFUSED)
              throw new IllegalStateException("another thread overwrote the routing");
            return status;
          }

          @Override
          public long numRegions() {
            return NativeOperations.winnow_cpu_num_regions();
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

  /**
   * Panels for 16-bit formats, unless the instruction set is {@link InstructionSet#PORTABLE}. In
   * f32 they gain less with few rows than they lose with many.
   */
  @Override
  public WeightLayout weightLayout(WeightFormat format) {
    return format.has(WeightLayout.PANELS)
            && format.blockBytes() == Short.BYTES
            && instructionSet != InstructionSet.PORTABLE
        ? WeightLayout.PANELS
        : WeightLayout.ROWS;
  }

  @Override
  public void close() {
    synchronized (this) {
      if (closed) return;
      closed = true;
    }
    NativeCall.awaitRunning();
    release.run();
  }

  /** The native context, for calls from this package. */
  long handle() {
    if (closed) throw new IllegalStateException("backend cpu is closed");
    return cpu;
  }
}
