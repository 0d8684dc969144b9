package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.models.ExpertBudget;
import org.winnow.models.ModelConfig;
import org.winnow.models.ModelReport;
import org.winnow.workload.LimitProbe;

/**
 * Measures a model end to end. Each round opens it anew for every number of threads and budget, one
 * after the other, so that a change of the machine's speed meets all cases. Single runs of the
 * tests take turns, with a reading of the limits before and after each.
 */
final class EndToEndBench {
  private final Path path;
  private final List<Integer> threadCounts;
  private final EndToEndOptions options;
  private final ModelWork work;
  private final long probeBytes;
  private final Map<BenchSeries.Key, BenchSeries> series = new LinkedHashMap<>();

  /**
   * @param probeBytes that a reading of the memory's speed covers, several times the last cache
   * @throws org.winnow.CheckpointException if the checkpoint cannot be described
   */
  EndToEndBench(Path path, List<Integer> threadCounts, EndToEndOptions options, long probeBytes) {
    this.path = path;
    this.threadCounts = threadCounts;
    this.options = options;
    this.probeBytes = probeBytes;
    ModelReport report = ModelReport.of(path);
    ModelConfig config = report.config();
    if (config == null)
      throw new CommandException(
          ExitCode.BAD_INPUT, path + ": there is no config.json that Winnow understands");
    work = ModelWork.of(report, config);
  }

  /** Runs all rounds. */
  void run(Terminal terminal) throws IOException {
    long numCases = (long) threadCounts.size() * options.budgets().size();
    try (Progress progress =
        new Progress(terminal, "bench", "cases", options.rounds() * numCases)) {
      long done = 0;
      for (int round = 0; round < options.rounds(); round++) {
        for (int threads : threadCounts) {
          for (ExpertBudget budget : options.budgets()) {
            measure(threads, budget);
            progress.update(++done);
          }
        }
      }
    }
  }

  private void measure(int threads, ExpertBudget budget) {
    List<SpeedTest> tests = options.tests();
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), threads);
        LimitProbe probe = new LimitProbe(backend, probeBytes);
        OpenedModel model = new OpenedModel(path, work, backend, budget)) {
      series("open", threads, budget, "s").add(model.openSeconds());
      series("first token", threads, budget, "s").add(model.firstTokenSeconds());
      model.warmUp(tests);
      for (int i = 0; i < options.runs(); i++) {
        for (SpeedTest test : tests)
          series(test.name(), threads, budget, "tokens/s").add(model.run(test, probe));
      }
    }
  }

  private BenchSeries series(String name, int threads, ExpertBudget budget, String unit) {
    return series.computeIfAbsent(
        new BenchSeries.Key(name, threads, budget.toString()), key -> new BenchSeries(key, unit));
  }

  /** What {@link #run} has measured, in the order in which it was measured first. */
  List<BenchSeries> results() {
    return new ArrayList<>(series.values());
  }
}
