package org.winnow.cuda;

import java.util.function.IntToDoubleFunction;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.workload.Limits;

/** Measures what a device reaches at most, with its own clock. */
final class DeviceLimits implements AutoCloseable {
  static final int BLOCK = 256;

  private static final int BLOCKS_PER_MULTIPROCESSOR = 4;
  private static final int READINGS = 10; // the best counts
  private static final double LONG_ENOUGH_SECONDS = 2e-3; // so that a launch's cost does not count
  private static final double MAX_SECONDS = 0.5; // of a reading: on an interpreter one is enough
  private static final long FIRST_ELEMENTS = 1 << 16; // from the host; the device doubles them
  private static final long MAX_COPY_BYTES = 256L << 20; // beyond the caches

  private final CudaBackend backend;
  private final DeviceTimer timer;
  private final Kernel bf16;
  private final Kernel f32;
  private final int numBlocks;
  private final Tensor output;
  private final Tensor from;
  private final Tensor to;

  DeviceLimits(CudaBackend backend) {
    this.backend = backend;
    timer = new DeviceTimer(backend);
    bf16 = backend.context().kernel("probe", "probe_bf16");
    f32 = backend.context().kernel("probe", "probe_f32");
    numBlocks = BLOCKS_PER_MULTIPROCESSOR * backend.device().multiprocessors();
    output = backend.f32((long) numBlocks * BLOCK);
    long copyBytes = Math.min(MAX_COPY_BYTES, (backend.budgetBytes() - backend.usedBytes()) / 4);
    from = backend.f32(copyBytes / Float.BYTES);
    to = backend.f32(copyBytes / Float.BYTES);
    long written = Math.min(FIRST_ELEMENTS, from.size());
    from.slice(0, written).fill(1);
    while (written < from.size()) {
      long length = Math.min(written, from.size() - written);
      from.slice(written, written + length).copyFrom(from.slice(0, length));
      written += length;
    }
  }

  /** Copies more than the caches hold, so that what follows finds its data in memory. */
  void flushCaches() {
    to.copyFrom(from);
  }

  /** Bytes are those that a copy reads and writes, so twice its size. */
  Limits measure() {
    double copy = 0;
    for (int i = 0; i < READINGS; i++) {
      double seconds = timer.seconds(this::flushCaches);
      copy = Math.max(copy, 2.0 * from.sizeBytes() / seconds);
      if (seconds > MAX_SECONDS) break;
    }
    long threads = (long) numBlocks * BLOCK;
    return new Limits(
        copy,
        operationsPerSecond(threads * 32, rounds -> timer.seconds(() -> runF32(rounds))),
        operationsPerSecond(
            threads / 32 * 8 * 4096, rounds -> timer.seconds(() -> runBf16(rounds))));
  }

  private static double operationsPerSecond(long operationsPerRound, IntToDoubleFunction seconds) {
    int rounds = 16;
    double taken = seconds.applyAsDouble(rounds); // loads the kernel as well
    while ((taken = seconds.applyAsDouble(rounds)) < LONG_ENOUGH_SECONDS && rounds < 1 << 24)
      rounds *= 2;
    double best = operationsPerRound * (double) rounds / taken;
    for (int i = 1; i < READINGS && taken < MAX_SECONDS; i++) {
      taken = seconds.applyAsDouble(rounds);
      best = Math.max(best, operationsPerRound * (double) rounds / taken);
    }
    return best;
  }

  void runBf16(int rounds) {
    try (var entry = backend.context().enter("probe")) {
      KernelArguments arguments = entry.stream().arguments().begin();
      arguments.i64(Internals.address(output)).i32(rounds);
      bf16.launch(entry.stream(), numBlocks, 1, 1, BLOCK, 0, arguments);
    }
  }

  void runF32(int rounds) {
    try (var entry = backend.context().enter("probe")) {
      KernelArguments arguments = entry.stream().arguments().begin();
      arguments.i64(Internals.address(output)).i32(rounds).i32(Float.floatToRawIntBits(1));
      f32.launch(entry.stream(), numBlocks, 1, 1, BLOCK, 0, arguments);
    }
  }

  /** What each thread has computed, so that a test can see it. */
  float[] results() {
    return output.toFloatArray();
  }

  int numWarps() {
    return numBlocks * BLOCK / 32;
  }

  @Override
  public void close() {
    timer.close();
    output.close();
    from.close();
    to.close();
  }
}
