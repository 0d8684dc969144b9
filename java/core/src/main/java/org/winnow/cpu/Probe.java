package org.winnow.cpu;

import java.lang.ref.Reference;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.NativeCpu;

/**
 * Measures this machine's limits, which benchmarks compare operations with. On a shared machine the
 * limits vary within minutes, so measure them next to each benchmark. Native contract: {@code
 * base/probe.h}.
 *
 * <p>With one thread, the time is CPU time of the calling thread, which load from other processes
 * does not lengthen. With more threads, it is wall time.
 */
public final class Probe {
  private static final long ROUNDS = 2000; // of 1024 steps per chain, about ten milliseconds

  private Probe() {}

  /**
   * Measures the read bandwidth: each thread reads its part of the memory once, from front to back.
   *
   * @param memory several times larger than the last-level cache; otherwise the result is the
   *     cache's bandwidth
   * @return bytes per second
   * @throws IllegalArgumentException if there is nothing to read
   * @throws IllegalStateException if the memory or the backend is closed
   */
  public static double readBytesPerSecond(CpuBackend backend, Tensor memory) {
    NativeCall call = NativeCall.enter();
    try {
      memory.requireIn("memory", backend.memory());
      if (memory.sizeBytes() == 0) throw new IllegalArgumentException("memory must not be empty");
      return NativeCpu.probe_read_bytes_per_second(
          Internals.address(memory), memory.sizeBytes(), backend.handle());
    } finally {
      call.exit();
      Reference.reachabilityFence(memory);
    }
  }

  /**
   * Measures f32 multiplications and additions per second, counted separately, on operands in
   * registers.
   */
  public static double f32OperationsPerSecond(CpuBackend backend) {
    NativeCall call = NativeCall.enter();
    try {
      return NativeCpu.probe_f32_operations_per_second(ROUNDS, backend.handle());
    } finally {
      call.exit();
    }
  }

  /**
   * As {@link #f32OperationsPerSecond}, for bf16 operands and f32 sums. If the instruction set
   * lacks such an operation, returns the f32 rate.
   */
  public static double bf16OperationsPerSecond(CpuBackend backend) {
    NativeCall call = NativeCall.enter();
    try {
      return NativeCpu.probe_bf16_operations_per_second(ROUNDS, backend.handle());
    } finally {
      call.exit();
    }
  }
}
