package org.winnow.bench;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.workload.LimitProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.MoeFfnWorkload;
import org.winnow.workload.MoeShape;
import org.winnow.workload.WeightPool;

/**
 * The feed-forward block of MoE layers as a share of this machine's limits: max(weight bytes / DRAM
 * bandwidth, operations / peak), both probed right before and after each run. With one thread times
 * are CPU time of the thread. Prints medians with their range, and the geometric mean over the
 * shapes.
 *
 * <p>Arguments: type (with {@code @avx2} and the like also the instruction set), threads, runs per
 * case, tokens... With {@code dense} as the type, the share is that of the gain from sparsity:
 * (time of {@link DenseFfn} / time of the block) / (its limit / the block's limit), both in f32,
 * one right after the other.
 */
public final class MoeFfnShare {
  private static final long BYTES_PER_READING = 64L << 20;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final DType dtype;
  private final CpuBackend backend;
  private final int numRuns;
  private final WeightPool pool;
  private final LimitProbe probe;

  private MoeFfnShare(InstructionSet set, DType dtype, int numThreads, int numRuns) {
    this.dtype = dtype;
    this.backend = new CpuBackend(set, numThreads);
    this.numRuns = numRuns;
    this.pool = new WeightPool(backend, dtype, WeightPool.BEYOND_CACHES);
    this.probe = new LimitProbe(backend, pool, BYTES_PER_READING);
  }

  public static void main(String[] args) {
    Usage usage = new Usage("MoeFfnShare bf16|f32|dense[@INSTRUCTIONS] THREADS RUNS TOKENS...");
    usage.require(args.length >= 4);
    String type = usage.type(args, 0, null, "bf16", "f32", "dense");
    int[] tokens = new int[args.length - 3];
    for (int i = 0; i < tokens.length; i++) tokens[i] = usage.count(args, 3 + i, 0);
    boolean dense = type.equals("dense");
    DType dtype = dense ? DType.F32 : DType.valueOf(type.toUpperCase(Locale.ROOT));
    MoeFfnShare share =
        new MoeFfnShare(
            usage.instructionSet(args, 0), dtype, usage.count(args, 1, 0), usage.count(args, 2, 0));
    System.out.println(
        share.backend.description()
            + ", "
            + dtype
            + ", median (range) of "
            + share.numRuns
            + " runs");
    System.out.printf(
        "%-18s %6s %10s %7s %15s %9s %8s%n",
        "model",
        "tokens",
        "ms",
        "share",
        "range",
        dense ? "dense ms" : "GFLOP/s",
        dense ? "gain" : "GB/s");
    for (int numTokens : tokens) {
      double logarithms = 0;
      for (MoeShape shape : MoeShape.judged())
        logarithms +=
            Math.log(dense ? share.measureGain(shape, numTokens) : share.measure(shape, numTokens));
      System.out.printf(
          "%-18s %6s %10s %6.1f%%%n",
          "geometric mean", numTokens, "", 100 * Math.exp(logarithms / MoeShape.judged().length));
    }
    share.probe.close();
    share.pool.close();
    share.backend.close();
  }

  /** Returns the median share of the limit. */
  private double measure(MoeShape shape, int numTokens) {
    double[] shares = new double[numRuns];
    double[] seconds = new double[numRuns];
    double operations = 0;
    double bytes = 0;
    for (int i = 0; i < numRuns; i++) {
      try (MoeFfnWorkload ffn =
          new MoeFfnWorkload(backend, shape, pool, numTokens, new Random(100 + i))) {
        ffn.run(); // touches the buffers, and the code that the first check needs
        if (i == 0) ffn.check();
        Limits before = probe.measure(1);
        long begin = now();
        ffn.run();
        seconds[i] = 1e-9 * (now() - begin);
        Limits limits = before.mean(probe.measure(1));
        shares[i] = limits.share(ffn.work(), dtype, seconds[i]);
        operations = ffn.work().operations();
        bytes = ffn.work().bytes();
      }
    }
    Arrays.sort(shares);
    Arrays.sort(seconds);
    double median = seconds[numRuns / 2];
    System.out.printf(
        "%-18s %6d %10.2f %6.1f%% %6.1f..%6.1f%% %9.0f %8.1f%n",
        shape.model(),
        numTokens,
        1e3 * median,
        100 * shares[numRuns / 2],
        100 * shares[0],
        100 * shares[numRuns - 1],
        1e-9 * operations / median,
        1e-9 * bytes / median);
    return shares[numRuns / 2];
  }

  /** Returns the median share of the gain that the limits allow. */
  private double measureGain(MoeShape shape, int numTokens) {
    double[] shares = new double[numRuns];
    double[] sparseSeconds = new double[numRuns];
    double[] denseSeconds = new double[numRuns];
    try (DenseFfn dense = new DenseFfn(shape, numTokens, pool, backend.numThreads())) {
      dense.run();
      dense.assertSpotCheck();
      for (int i = 0; i < numRuns; i++) {
        try (MoeFfnWorkload ffn =
            new MoeFfnWorkload(backend, shape, pool, numTokens, new Random(100 + i))) {
          ffn.run();
          if (i == 0) ffn.check();
          Limits before = probe.measure(1);
          long begin = now();
          ffn.run();
          long between = now();
          dense.run();
          sparseSeconds[i] = 1e-9 * (between - begin);
          denseSeconds[i] = 1e-9 * (now() - between);
          Limits limits = before.mean(probe.measure(1));
          double possible = limits.seconds(dense.work(), dtype) / limits.seconds(ffn.work(), dtype);
          shares[i] = denseSeconds[i] / sparseSeconds[i] / possible;
        }
      }
    }
    Arrays.sort(shares);
    Arrays.sort(sparseSeconds);
    Arrays.sort(denseSeconds);
    double median = sparseSeconds[numRuns / 2];
    System.out.printf(
        "%-18s %6d %10.2f %6.0f%% %6.0f..%6.0f%% %9.1f %7.1fx%n",
        shape.model(),
        numTokens,
        1e3 * median,
        100 * shares[numRuns / 2],
        100 * shares[0],
        100 * shares[numRuns - 1],
        1e3 * denseSeconds[numRuns / 2],
        denseSeconds[numRuns / 2] / median);
    return shares[numRuns / 2];
  }

  private long now() {
    return backend.numThreads() == 1 ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
  }
}
