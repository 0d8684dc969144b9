package org.winnow.bench;

import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Locale;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.workload.AttentionPhase;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.AttentionWorkload;
import org.winnow.workload.LimitProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.Work;

/**
 * Attention as a share of the machine's limits, one thread, CPU time, the limits measured before
 * each call: medians of {@code rounds} (default 7). Prefill is compared with the peak of
 * arithmetic, which is that of bf16 where the cache holds bf16 and of f32 else; decoding, which
 * reads the cache once, with the bandwidth of memory. What fits into the last-level cache is read
 * from there. Usage: {@code AttentionShare [ROUNDS [f32|bf16|f16[@INSTRUCTIONS]]]}.
 */
public final class AttentionShare {
  private static final long PROBED_BYTES = 256L << 20;
  private static final int LONG_PROMPT = 8192;

  private AttentionShare() {}

  public static void main(String[] arguments) {
    Usage usage = new Usage("AttentionShare [ROUNDS [f32|bf16|f16[@INSTRUCTIONS]]]");
    usage.require(arguments.length <= 2);
    int rounds = usage.count(arguments, 0, 7);
    DType element =
        DType.valueOf(
            usage.type(arguments, 1, "f32", "f32", "bf16", "f16").toUpperCase(Locale.ROOT));
    try (CpuBackend backend = new CpuBackend(usage.instructionSet(arguments, 1), 1);
        LimitProbe probe = new LimitProbe(backend, PROBED_BYTES)) {
      System.out.println(backend.description() + ", cache of " + element);
      System.out.printf(
          "%-25s %10s %10s %8s %8s %8s%n", "shape", "us", "GFLOP/s", "share", "GB/s", "share");
      for (AttentionShape shape : AttentionShape.values()) {
        for (AttentionPhase phase : AttentionPhase.values()) {
          int numPositions = phase.numPositions(shape);
          String name = shape + " " + phase;
          measure(backend, probe, name, shape, element, phase.numTokens(), numPositions, rounds);
        }
      }
      AttentionShape shape = AttentionShape.QWEN3_30B_A3B;
      String name = shape + " CAUSAL";
      measure(backend, probe, name, shape, element, LONG_PROMPT, LONG_PROMPT, rounds);
    }
  }

  private static void measure(
      CpuBackend backend,
      LimitProbe probe,
      String name,
      AttentionShape shape,
      DType element,
      int numTokens,
      int numPositions,
      int rounds) {
    var clock = ManagementFactory.getThreadMXBean();
    try (AttentionWorkload attention =
        new AttentionWorkload(backend, shape, element, numTokens, numPositions)) {
      attention.run();
      attention.check();
      Work work = attention.work();
      double[] computeShares = new double[rounds];
      double[] readShares = new double[rounds];
      double[] allNanos = new double[rounds];
      for (int round = 0; round < rounds; round++) {
        Limits limits = probe.measure(1);
        long start = clock.getCurrentThreadCpuTime();
        attention.run();
        double nanos = clock.getCurrentThreadCpuTime() - start;
        computeShares[round] = limits.computeSeconds(work, element) / (1e-9 * nanos);
        readShares[round] = limits.readSeconds(work) / (1e-9 * nanos);
        allNanos[round] = nanos;
      }
      System.out.printf(
          "%-25s %10.0f %10.1f %8.3f %8.2f %8.3f%n",
          name,
          median(allNanos) / 1e3,
          work.operations() / median(allNanos),
          median(computeShares),
          work.bytes() / median(allNanos),
          median(readShares));
    }
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
