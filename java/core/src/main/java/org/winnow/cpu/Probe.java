package org.winnow.cpu;

import org.winnow.internal.Internals;

import java.lang.ref.Reference;
import org.winnow.Tensor;
import org.winnow.internal.NativeCall;
import org.winnow.internal.NativeCpu;

/**
 * The limits of this machine, measured: what operations are judged by. On a shared machine they
 * move from minute to minute: measure them beside what is judged. Native contract: {@code
 * base/probe.h}.
 *
 * <p>Times are CPU time of the calling thread for a backend of one thread, which other load does
 * not lengthen, and wall time for a larger one.
 */
public final class Probe {
  private static final long ROUNDS = 2000; // of 1024 steps per chain: some ten milliseconds

  private Probe() {}

  /**
   * Reads memory once from front to back, each thread a part of it.
   *
   * @param memory several times the last cache, or what is measured is a cache
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
   * Multiplications and additions of f32 per second, each counted, with operands that stay in
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
   * The same for bf16 operands and f32 sums, where the instruction set has such an operation; else
   * the f32 rate.
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
