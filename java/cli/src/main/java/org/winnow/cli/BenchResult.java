package org.winnow.cli;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.winnow.DType;

/**
 * How an operation did against the limits of the machine.
 *
 * @param seconds of a run, the median
 * @param bytesPerSecond that had to be read
 * @param operationsPerSecond that had to be computed
 * @param share of the limit that was reached: the least time for the work, divided by the time; the
 *     median; NaN where there is no limit
 * @param limit {@code "reading"} or {@code "arithmetic"}, whichever takes longer at least; {@code
 *     "-"} for neither
 */
record BenchResult(
    String operation,
    String shape,
    DType type,
    int tokens,
    double seconds,
    double bytesPerSecond,
    double operationsPerSecond,
    double share,
    String limit) {
  private static final long NANOS = 300_000_000; // of measuring
  private static final int MIN_RUNS = 5;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  /**
   * Checks, then times.
   *
   * @param numThreads one: CPU time of this thread, which other load does not lengthen; more: wall
   *     time
   * @throws CommandException if the check fails: a fast wrong answer is not a result
   */
  static BenchResult of(BenchOperation operation, BenchLimits limits, int numThreads) {
    operation.run();
    String wrong = operation.check();
    if (wrong != null) {
      throw new CommandException(
          ExitCode.CHECK_FAILED,
          operation.operation()
              + ", "
              + operation.shape()
              + ", "
              + operation.type()
              + ", "
              + operation.tokens()
              + " tokens: "
              + wrong);
    }
    BenchLimits.Rates before = limits.measure();
    List<Double> times = new ArrayList<>();
    List<BenchOperation.Work> works = new ArrayList<>();
    for (long begin = System.nanoTime();
        times.size() < MIN_RUNS || System.nanoTime() - begin < NANOS; ) {
      long start = now(numThreads);
      BenchOperation.Work work = operation.run();
      times.add(Math.max(1, now(numThreads) - start) / 1e9);
      works.add(work);
    }
    BenchLimits.Rates rates = before.mean(limits.measure());
    double[] shares = new double[times.size()];
    for (int i = 0; i < shares.length; i++)
      shares[i] = rates.seconds(operation.type(), works.get(i)) / times.get(i);
    double seconds = median(times.stream().mapToDouble(Double::doubleValue).toArray());
    BenchOperation.Work typical = works.get(works.size() - 1);
    return new BenchResult(
        operation.operation(),
        operation.shape(),
        operation.type(),
        operation.tokens(),
        seconds,
        typical.bytes() / seconds,
        typical.operations() / seconds,
        median(shares),
        limit(operation.type(), rates, typical));
  }

  private static String limit(DType type, BenchLimits.Rates rates, BenchOperation.Work work) {
    if (Double.isNaN(work.bytes())) return "-";
    return rates.readSeconds(work) >= rates.computeSeconds(type, work) ? "reading" : "arithmetic";
  }

  private static long now(int numThreads) {
    return numThreads == 1 ? THREADS.getCurrentThreadCpuTime() : System.nanoTime();
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }
}
