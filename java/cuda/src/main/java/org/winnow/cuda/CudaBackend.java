package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemGetInfo;

import org.bytedeco.javacpp.SizeTPointer;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.BackendUnavailableException;
import org.winnow.CapturedStep;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.Release;

/**
 * Runs handwritten kernels on one NVIDIA GPU. Calls that return a value to the host block until the
 * device is done. All other calls are asynchronous.
 *
 * <p>Some errors destroy the device's context, for instance an access outside of an allocation. The
 * backend is unusable afterwards: every later call throws a {@link CudaException} that names the
 * call which detected the error.
 *
 * <p>A backend that was not closed releases the device after it and all tensors in its memory have
 * been collected.
 */
public final class CudaBackend extends Backend {
  static final String NAME = "cuda";

  private final CudaContext context;
  private final CudaMemory memory;
  private final TensorMemory tensors; // the same memory for tensors
  private final Release release;

  /**
   * Share of the free memory that stays unused by tensors, for kernels, graphs and the driver's
   * rounding.
   */
  private static final double RESERVE_SHARE = 1 / 16.0;

  /** Opens the first device with nearly all of its free memory. */
  public CudaBackend() {
    this(0, Long.MAX_VALUE);
  }

  /**
   * @param device the device's {@link CudaDevice#ordinal}
   * @param budgetBytes memory budget for tensors. It is reduced to 15/16 of the free memory if it
   *     is larger, because kernels, graphs and the driver's rounding need memory too
   * @throws BackendUnavailableException with the reason if the device cannot run the kernels
   * @throws IllegalArgumentException if there is no such device, or the budget is negative
   */
  public CudaBackend(int device, long budgetBytes) {
    this(device, budgetBytes, GroupedGemmPath.AUTOMATIC);
  }

  /**
   * As {@link #CudaBackend(int, long)}, with one kernel for all grouped GEMMs, so that results have
   * the same bits in any batch.
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
    @Nullable CudaMemory opened = null;
    try {
      opened = new CudaMemory(context, Math.min(budgetBytes, availableBytes()));
      memory = opened;
      tensors = Internals.memory(context.name(), memory);
      CudaContext entered = context;
      CudaMemory whole = opened;
      release = new Release(tensors, () -> entered.close(whole));
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

  /** The device that runs the operations. */
  public CudaDevice device() {
    return context.device();
  }

  @Override
  public TensorMemory memory() {
    return tensors;
  }

  /** Memory budget for tensors on the device. */
  public long budgetBytes() {
    return memory.budgetBytes();
  }

  /** Bytes that tensors on the device use now. */
  public long usedBytes() {
    return memory.usedBytes();
  }

  /**
   * Captures a CUDA graph. Other threads' operations wait until the capture ends. Errors that
   * kernels of a captured step find, for instance a token id outside of the table, are thrown by
   * the next {@link org.winnow.op.Sampler#sample}.
   */
  @Override
  public CapturedStep capture(Runnable step) {
    return CudaGraph.capture(this, step);
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
    release.run();
  }
}
