package org.winnow.cli;

import static java.util.Objects.requireNonNullElse;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.DiskProbe;
import org.winnow.models.ExpertBudget;
import org.winnow.models.ModelConfig;
import org.winnow.workload.AttentionShape;
import org.winnow.workload.AttentionWorkload;
import org.winnow.workload.LimitProbe;
import org.winnow.workload.Limits;
import org.winnow.workload.Measurement;

/**
 * Measures a model end to end. Each round opens it anew for every number of threads and budget, one
 * after the other, and runs each peer once, before or after in turn, so that a change of the
 * machine's speed meets all cases. Single runs of the tests take turns, with a reading of the
 * limits before and after each.
 */
final class EndToEndBench {
  private static final long DISK_BYTES = 256L << 20; // that a reading of the disk's speed covers
  private static final long MIN_DISK_BYTES = 4L << 20;
  private static final int PREFILL_TOKENS = 512; // new tokens that attend in a prefill

  private final Path path;
  private final ModelWork work;
  private final List<Integer> threadCounts;
  private final EndToEndOptions options;
  private final long probeBytes;
  private final List<PeerComparison> peers;
  private final Map<BenchSeries.Key, BenchSeries> series = new LinkedHashMap<>();
  private final List<OperationShares> profiles = new ArrayList<>();

  /**
   * @param probeBytes that a reading of the memory's speed covers, several times the last cache
   */
  EndToEndBench(
      Path path,
      ModelWork work,
      List<Integer> threadCounts,
      EndToEndOptions options,
      long probeBytes) {
    this.path = path;
    this.work = work;
    this.threadCounts = threadCounts;
    this.options = options;
    this.probeBytes = probeBytes;
    List<String> tests = options.tests().stream().map(SpeedTest::name).toList();
    String budget = options.budgets().get(0).toString();
    peers =
        options.peers().stream()
            .map(peer -> new PeerComparison(peer, threadCounts, tests, budget))
            .toList();
  }

  /**
   * Runs all rounds, then what needs no turns.
   *
   * @param config of the model
   */
  void run(Terminal terminal, ModelConfig config) throws IOException {
    int numBudgets = options.budgets().size();
    long perRound = (long) threadCounts.size() * numBudgets + peers.size();
    try (Progress progress =
        new Progress(
            terminal, "bench", "cases", options.rounds() * perRound + threadCounts.size())) {
      long done = 0;
      for (int round = 0; round < options.rounds(); round++) {
        boolean peersFirst = round % 2 == 0; // one that fails shows at once
        if (peersFirst) done = runPeers(terminal, progress, done);
        for (int threads : threadCounts) {
          for (ExpertBudget budget : options.budgets()) {
            measure(round, threads, budget);
            progress.update(++done);
          }
        }
        if (!peersFirst) done = runPeers(terminal, progress, done);
      }
      for (int threads : threadCounts) {
        attend(threads, config);
        progress.update(++done);
      }
    }
  }

  private long runPeers(Terminal terminal, Progress progress, long done) {
    long after = done;
    for (PeerComparison peer : peers) {
      @Nullable String failure = peer.run();
      if (failure != null) {
        terminal.err().println("winnow: " + failure);
        terminal.err().flush();
      }
      progress.update(++after);
    }
    return after;
  }

  private void measure(int round, int threads, ExpertBudget budget) throws IOException {
    List<SpeedTest> tests = options.tests();
    String held = budget.toString();
    double disk = diskBytesPerSecond();
    if (disk > 0) series("limit: disk", threads, "-", "GB/s").add(round, disk / 1e9);
    try (CpuBackend backend = backend(threads);
        LimitProbe probe = new LimitProbe(backend, probeBytes);
        OpenedModel model = new OpenedModel(path, work, backend, options.loadOptions(budget))) {
      series("open", threads, held, "s").add(round, model.open(), disk);
      series("first token", threads, held, "s").add(round, model.firstToken(), disk);
      model.warmUp(tests);
      for (int i = 0; i < options.runs(); i++) {
        for (SpeedTest test : tests) {
          OpenedModel.Run run = model.run(test, probe);
          series(test.name(), threads, held, "tokens/s").add(round, run);
          addLimits(round, threads, run);
        }
      }
      boolean last = round == options.rounds() - 1;
      if (last && budget == options.budgets().get(0)) {
        for (SpeedTest test : tests) profiles.add(model.profile(test, backend));
      }
    }
  }

  private void addLimits(int round, int threads, OpenedModel.Run run) {
    Limits limits = run.limits();
    series("limit: memory", threads, "-", "GB/s").add(round, limits.readBytesPerSecond() / 1e9);
    series("limit: " + run.type(), threads, "-", "Gop/s")
        .add(round, limits.operationsPerSecond(run.type()) / 1e9);
  }

  /**
   * Past the page cache, where the file system lets that be. NaN if there is too little to read.
   */
  private double diskBytesPerSecond() throws IOException {
    try (Stream<Path> files = Files.list(path)) {
      Path largest =
          files
              .filter(file -> file.toString().endsWith(".safetensors"))
              .max(Comparator.comparingLong(file -> file.toFile().length()))
              .orElseThrow(() -> new FileNotFoundException(path + ": has no safetensors file"));
      return Files.size(largest) < MIN_DISK_BYTES
          ? Double.NaN
          : 1e9 * DiskProbe.read(largest, DISK_BYTES, 2).gigabytesPerSecond();
    }
  }

  private void attend(int threads, ModelConfig config) {
    @Nullable AttentionShape shape = EndToEndReport.attention(config);
    if (shape == null) return;
    DType activations = requireNonNullElse(options.activations(), DType.BF16);
    DType element = requireNonNullElse(options.cacheType(), activations);
    int[] lengths =
        options.lengths().stream()
            .mapToInt(length -> Math.min(length, config.contextLength()))
            .distinct()
            .toArray();
    try (CpuBackend backend = backend(threads);
        LimitProbe probe = new LimitProbe(backend, probeBytes)) {
      for (int length : lengths) {
        for (int tokens : new int[] {1, Math.min(length, PREFILL_TOKENS)}) {
          try (AttentionWorkload attention =
              new AttentionWorkload(backend, shape, element, tokens, length)) {
            Measurement result = Measurement.of(attention, probe, System::nanoTime);
            String name = "attention, " + (tokens == 1 ? "decode" : "prefill") + " at " + length;
            series(name, threads, "-", "s").add(result);
          }
        }
      }
    }
  }

  private static CpuBackend backend(int threads) {
    return new CpuBackend(InstructionSet.best(), threads);
  }

  private BenchSeries series(String name, int threads, String budget, String unit) {
    return series.computeIfAbsent(
        new BenchSeries.Key(name, threads, budget), key -> new BenchSeries(key, unit));
  }

  /** What {@link #run} has measured, in the order in which it was measured first. */
  Map<BenchSeries.Key, BenchSeries> results() {
    return series;
  }

  List<OperationShares> profiles() {
    return profiles;
  }

  List<PeerComparison> peers() {
    return peers;
  }
}
