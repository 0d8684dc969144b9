package org.winnow.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.winnow.DType;
import org.winnow.OperationProfile;
import org.winnow.cpu.CpuBackend;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.GenerateOptions;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.TokenListener;
import org.winnow.workload.LimitProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.Work;

/** A model that has been opened for measuring, with what its opening took. */
final class OpenedModel implements AutoCloseable {
  private static final int FIRST_PROMPT = 16; // tokens
  private static final int MAX_WARM_UPS = 8;

  private final LanguageModel model;
  private final ModelWork work;
  private final double openSeconds;

  /**
   * One run of a test.
   *
   * @param type of the weights
   * @param limits the mean of those before and after it
   * @param missedExperts that had to be read
   */
  record Run(
      SpeedTest test, double seconds, Work work, DType type, Limits limits, long missedExperts) {
    double tokensPerSecond() {
      return test.numTokens() / seconds;
    }
  }

  /**
   * What reads from disk.
   *
   * @param bytes that it read
   */
  record Reading(double seconds, long bytes) {}

  /**
   * @param backend stays open
   */
  OpenedModel(Path path, ModelWork work, CpuBackend backend, LoadOptions options) {
    long begin = System.nanoTime();
    model = LanguageModel.open(path, options.withBackend(backend));
    openSeconds = 1e-9 * (System.nanoTime() - begin);
    this.work = work;
  }

  /** Opening it: all weights are read but the experts. */
  Reading open() {
    return new Reading(openSeconds, model.residentWeightBytes());
  }

  /**
   * From a prompt of 16 tokens to the first new token, no expert in memory. Call it once, before
   * anything else.
   */
  Reading firstToken() {
    int[] prompt = new Random(1).ints(FIRST_PROMPT, 0, model.config().vocabularySize()).toArray();
    long begin = System.nanoTime();
    model.generate(prompt, GenerateOptions.greedy(1), TokenListener.NONE);
    double seconds = 1e-9 * (System.nanoTime() - begin);
    ExpertCounters counters = model.expertCounters();
    return new Reading(seconds, counters == null ? 0 : counters.demandBytesRead());
  }

  /**
   * Runs the tests until they have found all their experts in memory, or miss as many as the time
   * before, since the budget does not hold them.
   */
  void warmUp(List<SpeedTest> tests) {
    long before = Long.MAX_VALUE;
    for (int i = 0; i < MAX_WARM_UPS; i++) {
      long missed = misses();
      for (SpeedTest test : tests) test.seconds(model);
      missed = misses() - missed;
      if (missed == 0 || missed >= before) return;
      before = missed;
    }
  }

  /** Runs a test once, between two readings of the machine's limits. */
  Run run(SpeedTest test, LimitProbe probe) {
    Limits before = probe.measure(1);
    long missed = misses();
    long used = used();
    double seconds = test.seconds(model);
    long usedByTest = used() - used;
    missed = misses() - missed;
    Limits limits = before.mean(probe.measure(1));
    return new Run(test, seconds, work.of(test, usedByTest), work.type(), limits, missed);
  }

  /** Runs a test once, with its operations timed one by one, which takes a little longer. */
  OperationShares profile(SpeedTest test, CpuBackend backend) {
    try (OperationProfile profile = OperationProfile.begin(backend)) {
      long waited = waitNanos();
      double seconds = test.seconds(model);
      return OperationShares.of(
          test, backend.numThreads(), seconds, 1e-9 * (waitNanos() - waited), profile.entries());
    }
  }

  private long waitNanos() {
    ExpertCounters counters = model.expertCounters();
    return counters == null ? 0 : counters.waitNanos();
  }

  private long misses() {
    ExpertCounters counters = model.expertCounters();
    return counters == null ? 0 : counters.misses();
  }

  private long used() {
    ExpertCounters counters = model.expertCounters();
    return counters == null ? 0 : counters.hits() + counters.misses();
  }

  @Override
  public void close() {
    model.close();
  }
}
