package org.winnow.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.DiskProbe;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.AttentionWorkload;
import org.winnow.workload.LimitProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.Measurement;
import org.winnow.workload.MoeBlockWorkload;
import org.winnow.workload.MoeShape;
import org.winnow.workload.TopKRouterWorkload;
import org.winnow.workload.WeightPool;
import org.winnow.workload.Workload;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code winnow bench}: the limits of the machine, then the operations as a share of them. */
@Command(
    name = "bench",
    description = {
      "Measures what this machine can do (memory, arithmetic, disk), then what share of it the"
          + " operations reach: whole mixture-of-experts layers of five models, the router, attention."
          + " Each is checked before it is timed.",
      "The limit of an operation is max(bytes it must read / memory speed, operations / arithmetic speed)."
    },
    footer = {
      "",
      "Examples:",
      "  winnow bench --quick",
      "  winnow bench --threads 2 --png bench.png --stats bench.json",
      "  winnow bench --end-to-end --threads 1,2 --budget 100%% --stats new.json --compare old.json",
      "  winnow bench --end-to-end --peer 'llama-bench -m model.gguf -n 64 -t 1,2'"
    })
final class BenchCommand extends Subcommand {
  private static final long DISK_BYTES = 256L << 20;
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();

  @Option(
      names = "--quick",
      description =
          "fewer sizes: bf16 with 1 and 16 tokens. With --end-to-end the speed of memory is probed"
              + " on 64 MiB, which may lie in a cache")
  private boolean quick;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      split = ",",
      description =
          "only these layers: ${COMPLETION-CANDIDATES}; default: all but the last."
              + " With --end-to-end the one that is made; default: qwen3_30b_a3b")
  private MoeShape @Nullable [] shapes;

  @Option(
      names = "--threads",
      paramLabel = "N",
      split = ",",
      description = {
        "threads that compute; one is timed by CPU time; default: 1",
        "With --end-to-end several numbers, timed by wall time; default: 1 and one per processor"
      })
  private List<Integer> threadCounts = List.of();

  @Option(
      names = "--disk",
      paramLabel = "FOLDER",
      defaultValue = ".",
      description = "whose disk to measure, with a file of 256 MiB; default: ${DEFAULT-VALUE}")
  private Path folder;

  @Option(
      names = "--png",
      paramLabel = "FILE",
      defaultValue = "winnow-bench.png",
      description = "where to draw the chart; - is standard output; default: ${DEFAULT-VALUE}")
  private Path png;

  @Option(
      names = "--compare",
      paramLabel = "OLD.json",
      description =
          "compare with what --stats has written on this machine with these options; anything else"
              + " is refused")
  private @Nullable Path compare;

  @Mixin private EndToEndOptions endToEnd;

  @Mixin private ReportOptions reportOptions;

  @Override
  int run(Terminal terminal) throws IOException {
    for (int threads : threadCounts) {
      if (threads < 1 || threads > CpuBackend.MAX_THREADS)
        throw wrongUsage(
            "--threads must lie in [1, " + CpuBackend.MAX_THREADS + "], found " + threads);
    }
    @Nullable String misplaced = endToEnd.misplaced(parseResult());
    if (misplaced != null) throw wrongUsage(misplaced + " needs --end-to-end");
    if (endToEnd.areAsked()) return runEndToEnd(endToEnd, terminal);
    if (threadCounts.size() > 1)
      throw wrongUsage("--threads must be one number without --end-to-end, found " + threadCounts);
    return runOperations(threadCounts.isEmpty() ? 1 : threadCounts.get(0), terminal);
  }

  private int runEndToEnd(EndToEndOptions options, Terminal terminal) throws IOException {
    @Nullable String fault = options.fault();
    if (fault != null) throw wrongUsage(fault);
    for (String option : List.of("--png", "--disk")) {
      if (parseResult().hasMatchedOption(option))
        throw wrongUsage(option + " has no effect with --end-to-end");
    }
    @Nullable MoeShape named = shapes == null ? MoeShape.QWEN3_30B_A3B : shapes[0];
    if (shapes != null && shapes.length > 1)
      throw wrongUsage("--shape must be one name with --end-to-end, found " + List.of(shapes));
    @Nullable CheckpointShape shape =
        CheckpointShape.of(named, options.layers(), options.vocabulary());
    if (shape == null)
      throw wrongUsage("--shape with --end-to-end: no model of " + named + " is made");
    int all = Math.min(Runtime.getRuntime().availableProcessors(), CpuBackend.MAX_THREADS);
    List<Integer> counts =
        threadCounts.isEmpty() ? IntStream.of(1, all).distinct().boxed().toList() : threadCounts;
    return new EndToEndRun(options, shape, counts, quick, compare)
        .run(terminal, reportOptions.begin(terminal));
  }

  private int runOperations(int threads, Terminal terminal) throws IOException {
    if (!ChartFile.isPng(png)) throw wrongUsage("--png must end in .png, found " + png);
    if (!Files.isDirectory(folder)) throw wrongUsage("--disk must be a folder, found " + folder);
    if (OutputFile.isStandardOutput(png) && reportOptions.toStandardOutput())
      throw wrongUsage("--png and the results cannot both go to standard output");
    MoeShape[] judged = shapes == null ? MoeShape.judged() : shapes;
    List<String> names = Arrays.stream(judged).map(MoeShape::toString).toList();
    JsonDocument.Content identity = json -> BenchReport.writeIdentity(json, threads, quick, names);
    @Nullable EarlierResults old = compare == null ? null : EarlierResults.read(compare);
    if (old != null) old.requireLike(JsonDocument.object(identity));
    ReportOptions.Report written = reportOptions.begin(terminal);
    OutputFile chart = OutputFile.of(png, terminal);
    Terminal people = chart.isStandardOutput() ? terminal.withoutOut() : written.people();
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), threads);
        LimitProbe probe = new LimitProbe(backend, quick ? 512L << 20 : 1L << 30)) {
      Limits limits = probe.measure(3);
      DiskProbe.Result disk = DiskProbe.readNewFile(folder.toAbsolutePath(), DISK_BYTES, 2);
      BenchReport.printLimits(people.out(), backend, limits, disk);
      BenchReport report = new BenchReport(measure(people, backend, probe, judged));
      report.print(people.out());
      @Nullable BenchComparison comparison =
          old == null ? null : old.compare(BenchReport.NAMES, report.measured());
      if (comparison != null) comparison.print(people.out());
      written.write(json -> report.write(json, identity, threads, limits, disk, comparison));
      report.draw(backend, chart);
      people.out().println("\nchart: " + png);
      people.out().flush();
      if (comparison != null && !comparison.isComplete(terminal)) return ExitCode.CHECK_FAILED;
    }
    return ExitCode.DONE;
  }

  private List<Measurement> measure(
      Terminal terminal, CpuBackend backend, LimitProbe probe, MoeShape[] judged) {
    DType[] types = quick ? new DType[] {DType.BF16} : new DType[] {DType.BF16, DType.F32};
    int[] tokenCounts = quick ? new int[] {1, 16} : new int[] {1, 16, 128, 512};
    long numSizes = (long) types.length * judged.length * tokenCounts.length + 4;
    List<Measurement> results = new ArrayList<>();
    try (Progress progress = new Progress(terminal, "bench", "sizes", numSizes)) {
      for (DType type : types) {
        try (WeightPool pool = new WeightPool(backend, type, WeightPool.BEYOND_CACHES)) {
          for (MoeShape shape : judged) {
            for (int tokens : tokenCounts)
              add(results, new MoeBlockWorkload(backend, shape, pool, tokens), probe, progress);
          }
        }
      }
      MoeShape routed = MoeShape.QWEN3_30B_A3B;
      add(results, new TopKRouterWorkload(backend, routed, 1), probe, progress);
      add(results, new TopKRouterWorkload(backend, routed, 512), probe, progress);
      AttentionShape heads = AttentionShape.QWEN3_30B_A3B;
      add(results, new AttentionWorkload(backend, heads, 1, 4096), probe, progress);
      add(results, new AttentionWorkload(backend, heads, 512, 1024), probe, progress);
    }
    return results;
  }

  private void add(
      List<Measurement> results, Workload workload, LimitProbe probe, Progress progress) {
    boolean alone = threadCounts.isEmpty() || threadCounts.get(0) == 1;
    LongSupplier clock = alone ? THREADS::getCurrentThreadCpuTime : System::nanoTime;
    try (workload) {
      results.add(Measurement.of(workload, probe, clock));
    }
    progress.update(results.size());
  }
}
