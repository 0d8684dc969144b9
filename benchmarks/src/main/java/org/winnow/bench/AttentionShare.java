package org.winnow.bench;

import java.lang.management.ManagementFactory;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.workload.AttentionPhase;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.AttentionWorkload;
import org.winnow.workload.LimitProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.Work;

/**
 * Attention as a share of the machine's f32 multiply-add rate, one thread, CPU time, the rate
 * measured before each call: best of {@code rounds} (default 7). Decoding is bound by memory: its
 * bytes per second are printed beside. Usage: {@code AttentionShare [rounds]}.
 */
public final class AttentionShare {
  private static final long PROBED_BYTES = 64L << 20;

  private AttentionShare() {}

  public static void main(String[] arguments) {
    Usage usage = new Usage("AttentionShare [ROUNDS]");
    usage.require(arguments.length <= 1);
    int rounds = usage.count(arguments, 0, 7);
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), 1);
        LimitProbe probe = new LimitProbe(backend, PROBED_BYTES, PROBED_BYTES)) {
      System.out.println(backend.description());
      System.out.printf("%-25s %10s %10s %8s %8s%n", "shape", "us", "GFLOP/s", "share", "GB/s");
      for (AttentionShape shape : AttentionShape.values()) {
        for (AttentionPhase phase : AttentionPhase.values())
          measure(backend, probe, shape, phase, rounds);
      }
    }
  }

  private static void measure(
      CpuBackend backend,
      LimitProbe probe,
      AttentionShape shape,
      AttentionPhase phase,
      int rounds) {
    var clock = ManagementFactory.getThreadMXBean();
    try (AttentionWorkload attention =
        new AttentionWorkload(backend, shape, phase.numTokens(), phase.numPositions(shape))) {
      attention.run();
      attention.check();
      Work work = attention.work();
      double bestShare = 0;
      long bestNanos = Long.MAX_VALUE;
      for (int round = 0; round < rounds; round++) {
        Limits limits = probe.measure(1);
        long start = clock.getCurrentThreadCpuTime();
        attention.run();
        long nanos = clock.getCurrentThreadCpuTime() - start;
        bestShare = Math.max(bestShare, limits.computeSeconds(work, DType.F32) / (1e-9 * nanos));
        bestNanos = Math.min(bestNanos, nanos);
      }
      System.out.printf(
          "%-25s %10.0f %10.1f %8.3f %8.2f%n",
          shape + " " + phase,
          bestNanos / 1e3,
          work.operations() / bestNanos,
          bestShare,
          work.bytes() / bestNanos);
    }
  }
}
