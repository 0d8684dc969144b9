package org.winnow.cli;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.Probe;

/**
 * The limits of this machine, probed beside each operation: on a shared machine they move from
 * minute to minute.
 */
final class BenchLimits implements AutoCloseable {
  /**
   * What the machine could do at some moment.
   *
   * @param f32OperationsPerSecond multiplications and additions, each counted
   * @param bf16OperationsPerSecond the same, of bf16 operands
   */
  record Rates(
      double readBytesPerSecond, double f32OperationsPerSecond, double bf16OperationsPerSecond) {
    /** Seconds that this much work takes at least. */
    double seconds(DType type, BenchOperation.Work work) {
      return Math.max(readSeconds(work), computeSeconds(type, work));
    }

    double readSeconds(BenchOperation.Work work) {
      return work.bytes() / readBytesPerSecond;
    }

    double computeSeconds(DType type, BenchOperation.Work work) {
      return work.operations()
          / (type == DType.BF16 ? bf16OperationsPerSecond : f32OperationsPerSecond);
    }

    /** Between two moments. */
    Rates mean(Rates other) {
      return new Rates(
          (readBytesPerSecond + other.readBytesPerSecond) / 2,
          (f32OperationsPerSecond + other.f32OperationsPerSecond) / 2,
          (bf16OperationsPerSecond + other.bf16OperationsPerSecond) / 2);
    }
  }

  private final CpuBackend backend;
  private final Tensor memory;

  /**
   * @param memoryBytes to read, several times the last cache
   */
  BenchLimits(CpuBackend backend, long memoryBytes) {
    this.backend = backend;
    this.memory = Tensor.allocate(DType.I64, memoryBytes / Long.BYTES);
    for (long i = 0; i < memory.size(); i += 512) memory.setLong(i, i); // every page is there
  }

  /** Now; the best of three, since other load only lowers them. */
  Rates measure() {
    double read = 0;
    double f32 = 0;
    double bf16 = 0;
    for (int i = 0; i < 3; i++) {
      read = Math.max(read, Probe.readBytesPerSecond(backend, memory));
      f32 = Math.max(f32, Probe.f32OperationsPerSecond(backend));
      bf16 = Math.max(bf16, Probe.bf16OperationsPerSecond(backend));
    }
    return new Rates(read, f32, bf16);
  }

  @Override
  public void close() {
    memory.close();
  }
}
