package org.winnow.bench;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.Probe;

/**
 * The feed-forward block of MoE layers as a share of this machine's limits: max(weight bytes / DRAM
 * bandwidth, operations / peak), both probed right before and after each run. With one thread times
 * are CPU time of the thread. Prints medians with their range, and the geometric mean over the
 * shapes.
 *
 * <p>Arguments: type (bf16 or f32), threads, runs per case, tokens...
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
    this.pool = MoeFfn.pool(dtype);
  }

  public static void main(String[] args) {
    if (args.length < 4)
      throw new IllegalArgumentException(
          "arguments must be: bf16|f32 threads runs tokens..., found " + Arrays.toString(args));
    DType dtype = DType.valueOf(args[0].toUpperCase(Locale.ROOT));
    MoeFfnShare share =
        new MoeFfnShare(dtype, Integer.parseInt(args[1]), Integer.parseInt(args[2]));
    System.out.println(
        share.backend.description()
            + ", "
            + dtype
            + ", median (range) of "
            + share.numRuns
            + " runs");
    System.out.printf(
        "%-18s %6s %10s %7s %15s %9s %8s%n",
        "model", "tokens", "ms", "share", "range", "GFLOP/s", "GB/s");
    for (int i = 3; i < args.length; i++) {
      double logarithms = 0;
      for (MoeShape shape : MoeShape.values())
        logarithms += Math.log(share.measure(shape, Integer.parseInt(args[i])));
      System.out.printf(
          "%-18s %6s %10s %6.1f%%%n",
          "geometric mean", args[i], "", 100 * Math.exp(logarithms / MoeShape.values().length));
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
        double limitBefore = limit(ffn);
        long begin = now();
        ffn.run(backend);
        seconds[i] = 1e-9 * (now() - begin);
        shares[i] = (limitBefore + limit(ffn)) / 2 / seconds[i];
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

  private double limit(MoeFfn ffn) {
    double peak =
        dtype == DType.F32
            ? Probe.f32OperationsPerSecond(backend)
            : Probe.bf16OperationsPerSecond(backend);
    long elements = PROBE_BYTES / dtype.sizeBytes();
    if (probed + elements > pool.size()) probed = 0;
    double bandwidth = Probe.readBytesPerSecond(backend, pool.slice(probed, probed + elements));
    probed += elements;
    return Math.max(ffn.weightBytes() / bandwidth, ffn.operations() / peak);
  }

  private long now() {
    return backend.numThreads() == 1 ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
  }
}
