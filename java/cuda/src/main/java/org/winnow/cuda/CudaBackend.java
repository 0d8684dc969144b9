package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemGetInfo;

import org.bytedeco.javacpp.SizeTPointer;
import org.winnow.Backend;
import org.winnow.BackendUnavailableException;
import org.winnow.CapturedStep;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;

/**
 * Handwritten kernels on one NVIDIA GPU. Operations are enqueued and return; what gives a value to
 * the host waits for it.
 *
 * <p>An error that takes the device's context away, an access outside of an allocation for
 * instance, makes the backend unusable: every later call throws a {@link CudaException} that says
 * which call found it.
 */
public final class CudaBackend extends Backend {
  static final String NAME = "cuda";

  private final CudaContext context;
  private final CudaMemory memory;
  private final TensorMemory tensors; // of that memory

  /** What the driver needs beside tensors, for kernels, graphs and rounding: of the free memory. */
  private static final double RESERVE_SHARE = 1 / 16.0;

  /** The first device, and nearly all of its memory that is free now. */
  public CudaBackend() {
    this(0, Long.MAX_VALUE);
  }

  /**
   * @param device its {@link CudaDevice#ordinal}
   * @param budgetBytes the most that tensors on it may take; no more than 15/16 of what is free
   *     now: kernels, graphs and the driver's rounding take room beside them
   * @throws BackendUnavailableException with the reason if it cannot run the kernels
   * @throws IllegalArgumentException if there is no such device, or the budget is negative
   */
  public CudaBackend(int device, long budgetBytes) {
    this(device, budgetBytes, GroupedGemmPath.AUTOMATIC);
  }

  /**
   * As {@link #CudaBackend(int, long)}, with one path for grouped products: the same bits whatever
   * the batch.
   */
  public CudaBackend(int device, long budgetBytes, GroupedGemmPath groupedGemmPath) {
    if (budgetBytes < 0)
      throw new IllegalArgumentException("budgetBytes must not be negative, found " + budgetBytes);
    var devices = CudaDevice.all();
    if (device < 0 || device >= devices.size())
      throw new IllegalArgumentException(
          "device must lie in [0, " + devices.size() + "), found " + device);
    String cause = devices.get(device).unsuitability();
    if (cause != null) throw new BackendUnavailableException(NAME, cause);
    context = new CudaContext(devices.get(device));
    CudaMemory opened = null;
    try {
      opened = new CudaMemory(context, Math.min(budgetBytes, availableBytes()));
      memory = opened;
      tensors = Internals.memory(context.name(), memory);
      Internals.install(this, new CudaKernels(context, memory, groupedGemmPath));
    } catch (RuntimeException | Error e) {
      context.close(opened);
      throw e;
    }
  }

  private long availableBytes() {
    try (var entry = context.enter("opening");
        SizeTPointer free = new SizeTPointer(1);
        SizeTPointer total = new SizeTPointer(1)) {
      context.check(cuMemGetInfo(free, total), "cuMemGetInfo");
      return free.get() - (long) (free.get() * RESERVE_SHARE);
    }
  }

  @Override
  public String name() {
    return NAME;
  }

  @Override
  public String description() {
    return context.device().toString();
  }

  /** What it runs on. */
  public CudaDevice device() {
    return context.device();
  }

  @Override
  public TensorMemory memory() {
    return tensors;
  }

  /** The most that tensors on the device may take. */
  public long budgetBytes() {
    return memory.budgetBytes();
  }

  /** What they take now. */
  public long usedBytes() {
    return memory.usedBytes();
  }

  /**
   * A CUDA graph; other threads' operations wait until the step is captured. What a run of it is
   * refused, a token id outside of its table for instance, is thrown by the next {@link
   * org.winnow.op.Sampler#sample}.
   */
  @Override
  public CapturedStep capture(Runnable step) {
    return CudaGraph.capture(context, step);
  }

  @Override
  public boolean canCapture() {
    return true;
  }

  CudaContext context() {
    return context;
  }

  @Override
  public void close() {
    context.close(memory);
  }
}
