package org.winnow.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.models.ModelConfig;
import org.winnow.models.ModelReport;

/**
 * One run of {@code winnow bench --end-to-end}, from the model to the exit code.
 *
 * @param shape of the model that is made if none is given
 * @param threadCounts that are measured
 * @param quick whether the limits are probed on less memory
 * @param earlier file of results to compare with, or null
 */
record EndToEndRun(
    EndToEndOptions options,
    CheckpointShape shape,
    List<Integer> threadCounts,
    boolean quick,
    @Nullable Path earlier) {
  private static final long PROBE_BYTES = 512L << 20;
  private static final long QUICK_PROBE_BYTES = 64L << 20;

  int run(Terminal terminal, ReportOptions.Report written) throws IOException {
    @Nullable EarlierResults old = earlier == null ? null : EarlierResults.read(earlier);
    try (MadeModel model = MadeModel.of(options, shape, terminal)) {
      ModelReport report = ModelReport.of(model.path());
      ModelConfig config = report.config();
      if (config == null)
        throw new CommandException(
            ExitCode.BAD_INPUT, model.path() + ": has no config.json that Winnow understands");
      EndToEndReport results = new EndToEndReport(model.name(), report, threadCounts, options);
      if (old != null) old.requireLike(JsonDocument.object(results::writeIdentity));
      ModelWork work = ModelWork.of(report, config);
      long probeBytes = quick ? QUICK_PROBE_BYTES : PROBE_BYTES;
      EndToEndBench bench =
          new EndToEndBench(model.path(), work, threadCounts, options, probeBytes);
      bench.run(written.people(), config);
      @Nullable BenchComparison comparison =
          old == null ? null : old.compare(BenchSeries.NAMES, EndToEndReport.measured(bench));
      results.print(written.people().out(), bench);
      if (comparison != null) comparison.print(written.people().out());
      written.write(json -> results.write(json, bench, comparison));
      return exitCode(bench, comparison, terminal);
    }
  }

  /** A peer that failed has been named when it did. */
  private static int exitCode(
      EndToEndBench bench, @Nullable BenchComparison comparison, Terminal terminal) {
    boolean failed = bench.peers().stream().anyMatch(peer -> peer.failure() != null);
    boolean missing = comparison != null && !comparison.isComplete(terminal);
    return failed || missing ? ExitCode.CHECK_FAILED : ExitCode.DONE;
  }
}
