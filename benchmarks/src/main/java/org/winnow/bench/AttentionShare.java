package org.winnow.bench;

import java.lang.management.ManagementFactory;
import java.util.Random;
import org.winnow.Tensor;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.Probe;

/**
 * Attention as a share of the machine's f32 multiply-add rate, one thread, CPU time, the rate
 * measured before each call: best of {@code rounds} (default 7). Decoding is bound by memory: its
 * bytes per second are printed beside. Usage: {@code AttentionShare [rounds]}.
 */
public final class AttentionShare {
  private AttentionShare() {}

  public static void main(String[] arguments) {
    Usage usage = new Usage("AttentionShare [ROUNDS]");
    usage.require(arguments.length <= 1);
    int rounds = usage.count(arguments, 0, 7);
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), 1)) {
      System.out.println(backend.description());
      System.out.printf("%-22s %10s %10s %8s %8s%n", "shape", "us", "GFLOP/s", "share", "GB/s");
      for (AttentionShape shape : AttentionShape.values()) measure(backend, shape, rounds);
    }
  }

  private static void measure(CpuBackend backend, AttentionShape shape, int rounds) {
    Random random = new Random(42);
    var clock = ManagementFactory.getThreadMXBean();
    long first = (long) shape.numPositions - shape.numTokens;
    var options = AttentionOptions.causal((float) (1 / Math.sqrt(shape.headDim)));
    int keySize = shape.numPositions * shape.numKvHeads * shape.headDim;
    try (KvCache cache =
            new KvCache(1, shape.numKvHeads, shape.headDim, shape.headDim, shape.numPositions);
        Tensor keys =
            Tensor.of(
                RowsBenchmark.gaussian(random, keySize),
                shape.numPositions,
                shape.numKvHeads,
                shape.headDim);
        Tensor query =
            Tensor.of(
                RowsBenchmark.gaussian(random, shape.numTokens * shape.numHeads * shape.headDim),
                shape.numTokens,
                shape.numHeads,
                shape.headDim);
        Tensor output = Tensor.f32(shape.numTokens, shape.numHeads, shape.headDim)) {
      cache.append(backend, 0, keys, keys);
      double bestShare = 0;
      long bestNanos = Long.MAX_VALUE;
      for (int round = 0; round < rounds; round++) {
        double peak = Probe.f32OperationsPerSecond(backend);
        long start = clock.getCurrentThreadCpuTime();
        Attention.run(backend, query, cache, 0, first, options, output);
        long nanos = clock.getCurrentThreadCpuTime() - start;
        bestShare = Math.max(bestShare, shape.operations() / nanos * 1e9 / peak);
        bestNanos = Math.min(bestNanos, nanos);
      }
      System.out.printf(
          "%-22s %10.0f %10.1f %8.3f %8.2f%n",
          shape,
          bestNanos / 1e3,
          shape.operations() / bestNanos,
          bestShare,
          shape.bytes() / bestNanos);
    }
  }
}
