package org.winnow.cli;

import org.jspecify.annotations.Nullable;
import org.winnow.DType;

/** One operation at one size, ready to run again and again. */
interface BenchOperation extends AutoCloseable {
  /**
   * What a run must do at least.
   *
   * @param bytes to read from memory, each once
   * @param operations multiplications and additions, each counted
   */
  record Work(double bytes, double operations) {
    /** Of an operation that neither memory nor arithmetic limits: it is timed only. */
    static final Work UNKNOWN = new Work(Double.NaN, Double.NaN);
  }

  /** Runs once, on other data than the last time where that matters to caches. */
  Work run();

  /** The last run's result against double precision, at some elements: null, or what is wrong. */
  @Nullable String check();

  /** The rate of computing that limits it. */
  DType type();

  /** {@code "MoE block"}. */
  String operation();

  /** Whose shape it has. */
  String shape();

  /** Tokens of a run. */
  int tokens();

  @Override
  void close();
}
