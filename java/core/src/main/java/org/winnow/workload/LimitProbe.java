package org.winnow.workload;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.Probe;

/**
 * Measures the limits of this machine on a backend's threads. On a shared machine they move from
 * minute to minute: measure them just before and after what is judged.
 */
public final class LimitProbe implements AutoCloseable {
  private static final int PAGE_WORDS = 4096 / Long.BYTES;

  private final CpuBackend backend;
  private final Tensor memory;
  private final boolean owned;
  private final long elementsPerReading;
  private long next;

  /**
   * Reads new memory, all of it each time.
   *
   * @param memoryBytes several times the last cache
   */
  public LimitProbe(CpuBackend backend, long memoryBytes) {
    this.backend = backend;
    memory = Tensor.allocate(DType.I64, memoryBytes / Long.BYTES);
    owned = true;
    elementsPerReading = memory.size();
    for (long i = 0; i < memory.size(); i += PAGE_WORDS)
      memory.setLong(i, i); // every page is there
  }

  /**
   * Reads the memory that a workload reads, one part after the other, so that caches help both
   * equally.
   *
   * @param pool in the host's memory; not closed here
   * @throws IllegalArgumentException if a part has no byte, or more than there are
   */
  public LimitProbe(CpuBackend backend, WeightPool pool, long bytesPerReading) {
    this.backend = backend;
    memory = pool.elements();
    owned = false;
    elementsPerReading = bytesPerReading / pool.type().sizeBytes();
    if (elementsPerReading < 1 || elementsPerReading > memory.size())
      throw new IllegalArgumentException(
          "bytesPerReading must lie in ["
              + pool.type().sizeBytes()
              + ", "
              + memory.sizeBytes()
              + "], found "
              + bytesPerReading);
  }

  /**
   * The limits now.
   *
   * @param numReadings the best counts, since other load only lowers them
   */
  public Limits measure(int numReadings) {
    double read = 0;
    double f32 = 0;
    double bf16 = 0;
    for (int i = 0; i < numReadings; i++) {
      f32 = Math.max(f32, Probe.f32OperationsPerSecond(backend));
      bf16 = Math.max(bf16, Probe.bf16OperationsPerSecond(backend));
      if (next + elementsPerReading > memory.size()) next = 0;
      Tensor part = memory.slice(next, next + elementsPerReading);
      read = Math.max(read, Probe.readBytesPerSecond(backend, part));
      next += elementsPerReading;
    }
    return new Limits(read, f32, bf16);
  }

  @Override
  public void close() {
    if (owned) memory.close();
  }
}
