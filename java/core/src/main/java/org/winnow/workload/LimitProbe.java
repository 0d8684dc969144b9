package org.winnow.workload;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.Probe;

/**
 * Measures the limits of this machine on a backend's threads. On a shared machine they move from
 * minute to minute: measure them beside what is judged.
 */
public final class LimitProbe implements AutoCloseable {
  private static final int PAGE_WORDS = 4096 / Long.BYTES;

  private final CpuBackend backend;
  private final Tensor words;
  private final long wordsPerReading;
  private long next;

  /**
   * @param memoryBytes to read in turn, several times the last cache
   * @param bytesPerReading that one reading takes of it
   * @throws IllegalArgumentException if a reading takes no byte, or more than there are
   */
  public LimitProbe(CpuBackend backend, long memoryBytes, long bytesPerReading) {
    if (bytesPerReading < Long.BYTES || bytesPerReading > memoryBytes)
      throw new IllegalArgumentException(
          "bytesPerReading must lie in ["
              + Long.BYTES
              + ", "
              + memoryBytes
              + "], found "
              + bytesPerReading);
    this.backend = backend;
    words = Tensor.allocate(DType.I64, memoryBytes / Long.BYTES);
    wordsPerReading = bytesPerReading / Long.BYTES;
    for (long i = 0; i < words.size(); i += PAGE_WORDS) words.setLong(i, i); // every page is there
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
      if (next + wordsPerReading > words.size()) next = 0;
      read =
          Math.max(
              read, Probe.readBytesPerSecond(backend, words.slice(next, next + wordsPerReading)));
      next += wordsPerReading;
    }
    return new Limits(read, f32, bf16);
  }

  @Override
  public void close() {
    words.close();
  }
}
