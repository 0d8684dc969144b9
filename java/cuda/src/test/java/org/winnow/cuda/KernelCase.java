package org.winnow.cuda;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.workload.Work;

/**
 * One kernel, or the few that a call launches, at one size, ready to run again and again. It has
 * its own backend.
 */
final class KernelCase implements AutoCloseable {
  final CudaBackend backend;
  final String kernels;
  final String what;
  private final Deque<AutoCloseable> open = new ArrayDeque<>(); // last opened first
  private final List<Long> read = new ArrayList<>();
  private String bytesOf = "";
  private Work work = Work.UNKNOWN;
  private boolean onTensorCores;
  private Runnable call = () -> {};

  /**
   * @param kernels names of those that are launched, for reports
   * @param what the size
   */
  KernelCase(GroupedGemmPath path, String kernels, String what) {
    backend = keep(new CudaBackend(0, Long.MAX_VALUE, path));
    this.kernels = kernels;
    this.what = what;
  }

  /** Closes this with the case. */
  <T extends AutoCloseable> T keep(T opened) {
    open.push(opened);
    return opened;
  }

  Tensor normal(long... shape) {
    Tensor tensor = keep(backend.f32(shape));
    Random random = new Random(1);
    float[] values = new float[Math.toIntExact(tensor.size())];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    return tensor.copyFrom(values);
  }

  /** Names an allocation of which reads are counted. */
  KernelCase reading(String name, Tensor... tensors) {
    for (Tensor tensor : tensors) reading(name, Internals.address(tensor));
    return this;
  }

  KernelCase reading(String name, long address) {
    bytesOf = name;
    read.add(address);
    return this;
  }

  /**
   * @param bytes read and written at least
   * @param operations multiplications and additions
   */
  KernelCase work(double bytes, double operations, boolean onTensorCores) {
    work = new Work(bytes, operations);
    this.onTensorCores = onTensorCores;
    return this;
  }

  KernelCase calling(Runnable call) {
    this.call = call;
    return this;
  }

  void run() {
    call.run();
  }

  /** Waits for the device. */
  void await() {
    try (Tensor any = backend.f32(1)) {
      any.toFloatArray();
    }
  }

  /** What the counted allocations are: {@code "weights"}. */
  String bytesOf() {
    return bytesOf;
  }

  /** Addresses of the allocations of which reads are counted. */
  List<Long> read() {
    return read;
  }

  Work work() {
    return work;
  }

  boolean onTensorCores() {
    return onTensorCores;
  }

  @Override
  public void close() {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e); // what is kept throws no checked one
      }
    }
  }
}
