package org.winnow.bench;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.Probe;

/**
 * The feed-forward block of MoE layers as a share of this machine's limits: max(weight bytes / DRAM
 * bandwidth, operations / peak), both probed right before and after each run. With one thread times
 * are CPU time of the thread. Prints medians with their range, and the geometric mean over the
 * shapes.
 *
 * <p>Arguments: type, threads, runs per case, tokens... With {@code dense} as the type, the share
 * is that of the gain from sparsity: (time of {@link DenseFfn} / time of the block) / (its limit /
 * the block's limit), both in f32, one right after the other.
 */
public final class MoeFfnShare {
  private static final long PROBE_BYTES = 64L << 20;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  private final DType dtype;
  private final CpuBackend backend;
  private final int numRuns;
  private final Tensor pool;
  private long probed;

  private MoeFfnShare(DType dtype, int numThreads, int numRuns) {
    this.dtype = dtype;
    this.backend = new CpuBackend(InstructionSet.best(), numThreads);
    this.numRuns = numRuns;
    this.pool = MoeFfn.pool(TensorMemory.host(), dtype);
  }

  public static void main(String[] args) {
    Usage usage = new Usage("MoeFfnShare bf16|f32|dense THREADS RUNS TOKENS...");
    usage.require(args.length >= 4);
    String type = usage.word(args, 0, null, "bf16", "f32", "dense");
    int[] tokens = new int[args.length - 3];
    for (int i = 0; i < tokens.length; i++) tokens[i] = usage.count(args, 3 + i, 0);
    boolean dense = type.equals("dense");
    DType dtype = dense ? DType.F32 : DType.valueOf(type.toUpperCase(Locale.ROOT));
    MoeFfnShare share = new MoeFfnShare(dtype, usage.count(args, 1, 0), usage.count(args, 2, 0));
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
      for (MoeShape shape : MoeShape.values())
        logarithms +=
            Math.log(dense ? share.measureGain(shape, numTokens) : share.measure(shape, numTokens));
      System.out.printf(
          "%-18s %6s %10s %6.1f%%%n",
          "geometric mean", numTokens, "", 100 * Math.exp(logarithms / MoeShape.values().length));
    }
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
      try (MoeFfn ffn = new MoeFfn(shape, dtype, numTokens, pool, new Random(100 + i))) {
        ffn.rotate();
        ffn.run(backend); // touches the buffers, and the code that the first check needs
        if (i == 0) ffn.assertSpotChecks(new Random(1), 32);
        ffn.rotate();
        Limits before = limits();
        long begin = now();
        ffn.run(backend);
        seconds[i] = 1e-9 * (now() - begin);
        Limits after = limits();
        shares[i] =
            (before.seconds(ffn.weightBytes(), ffn.operations())
                    + after.seconds(ffn.weightBytes(), ffn.operations()))
                / 2
                / seconds[i];
        operations = ffn.operations();
        bytes = ffn.weightBytes();
      }
    }
    Arrays.sort(shares);
    Arrays.sort(seconds);
    double median = seconds[numRuns / 2];
    System.out.printf(
        "%-18s %6d %10.2f %6.1f%% %6.1f..%6.1f%% %9.0f %8.1f%n",
        shape,
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
        try (MoeFfn ffn = new MoeFfn(shape, dtype, numTokens, pool, new Random(100 + i))) {
          ffn.rotate();
          ffn.run(backend);
          if (i == 0) ffn.assertSpotChecks(new Random(1), 32);
          ffn.rotate();
          Limits before = limits();
          long begin = now();
          ffn.run(backend);
          long between = now();
          dense.run();
          sparseSeconds[i] = 1e-9 * (between - begin);
          denseSeconds[i] = 1e-9 * (now() - between);
          Limits after = limits();
          double possible =
              (before.seconds(dense.weightBytes(), dense.operations())
                      + after.seconds(dense.weightBytes(), dense.operations()))
                  / (before.seconds(ffn.weightBytes(), ffn.operations())
                      + after.seconds(ffn.weightBytes(), ffn.operations()));
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
        shape,
        numTokens,
        1e3 * median,
        100 * shares[numRuns / 2],
        100 * shares[0],
        100 * shares[numRuns - 1],
        1e3 * denseSeconds[numRuns / 2],
        denseSeconds[numRuns / 2] / median);
    return shares[numRuns / 2];
  }

  /** Of the machine at one moment. */
  private record Limits(double bytesPerSecond, double operationsPerSecond) {
    double seconds(double bytes, double operations) {
      return Math.max(bytes / bytesPerSecond, operations / operationsPerSecond);
    }
  }

  private Limits limits() {
    double peak =
        dtype == DType.F32
            ? Probe.f32OperationsPerSecond(backend)
            : Probe.bf16OperationsPerSecond(backend);
    long elements = PROBE_BYTES / dtype.sizeBytes();
    if (probed + elements > pool.size()) probed = 0;
    double bandwidth = Probe.readBytesPerSecond(backend, pool.slice(probed, probed + elements));
    probed += elements;
    return new Limits(bandwidth, peak);
  }

  private long now() {
    return backend.numThreads() == 1 ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
  }
}
