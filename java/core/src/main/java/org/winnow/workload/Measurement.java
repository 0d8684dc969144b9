package org.winnow.workload;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;
import org.winnow.DType;

/**
 * How a workload did against the limits of the machine.
 *
 * @param seconds of a run, the median
 * @param work of the last run
 * @param share of the limit that was reached, the median; NaN where the work is not known
 * @param limitedBy as {@link Limits#limitedBy} says it
 */
public record Measurement(
    String operation,
    String shape,
    DType type,
    int numTokens,
    double seconds,
    Work work,
    double share,
    String limitedBy) {
  private static final long NANOS = 300_000_000; // of measuring
  private static final int MIN_RUNS = 5;
  private static final int READINGS = 3; // of the limits, before and after

  /**
   * Checks, then times, between two readings of the limits.
   *
   * @param nanoClock measures runs: wall time, or the CPU time of this thread, which other load
   *     does not lengthen
   * @throws WrongResultException if the check fails
   */
  public static Measurement of(Workload workload, LimitProbe probe, LongSupplier nanoClock) {
    workload.run();
    workload.check();
    Limits before = probe.measure(READINGS);
    List<Double> times = new ArrayList<>();
    List<Work> works = new ArrayList<>();
    for (long begin = System.nanoTime();
        times.size() < MIN_RUNS || System.nanoTime() - begin < NANOS; ) {
      long start = nanoClock.getAsLong();
      workload.run();
      times.add(Math.max(1, nanoClock.getAsLong() - start) / 1e9);
      works.add(workload.work());
    }
    Limits limits = before.mean(probe.measure(READINGS));
    double[] shares = new double[times.size()];
    for (int i = 0; i < shares.length; i++)
      shares[i] = limits.share(works.get(i), workload.type(), times.get(i));
    Work work = works.get(works.size() - 1);
    return new Measurement(
        workload.operation(),
        workload.shape(),
        workload.type(),
        workload.numTokens(),
        median(times.stream().mapToDouble(Double::doubleValue).toArray()),
        work,
        median(shares),
        limits.limitedBy(work, workload.type()));
  }

  public double bytesPerSecond() {
    return work.bytes() / seconds;
  }

  public double operationsPerSecond() {
    return work.operations() / seconds;
  }

  /** The middle one in order; of two in the middle, the larger. */
  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }
}
