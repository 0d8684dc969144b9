package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.DiskProbe;
import picocli.CommandLine.Command;
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
      "  winnow bench --threads 2 --png bench.png --stats bench.json"
    })
final class BenchCommand extends Subcommand {
  private static final long DISK_BYTES = 256L << 20;

  @Option(names = "--quick", description = "fewer sizes: bf16 with 1 and 16 tokens")
  private boolean quick;

  @Option(
      names = "--shape",
      paramLabel = "NAME",
      split = ",",
      description = "only these layers: ${COMPLETION-CANDIDATES}; default: all")
  private BenchShape[] shapes = BenchShape.values();

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "1",
      description = "threads that compute; one is timed by CPU time; default: ${DEFAULT-VALUE}")
  private int threads;

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
      description = "where to draw the chart; default: ${DEFAULT-VALUE}")
  private Path png;

  @Option(
      names = "--stats",
      paramLabel = "FILE",
      description = "write the figures into this file, as JSON")
  private @Nullable Path stats;

  @Override
  int run(Terminal terminal) throws IOException {
    if (threads < 1 || threads > CpuBackend.MAX_THREADS)
      throw wrongUsage(
          "--threads must lie in [1, " + CpuBackend.MAX_THREADS + "], found " + threads);
    if (!ChartFile.isPng(png)) throw wrongUsage("--png must end in .png, found " + png);
    if (!Files.isDirectory(folder)) throw wrongUsage("--disk must be a folder, found " + folder);
    ChartFile.requireWritable(png);
    try (JsonFile json = stats == null ? null : JsonFile.create(stats);
        CpuBackend backend = new CpuBackend(InstructionSet.best(), threads);
        BenchLimits limits = new BenchLimits(backend, quick ? 512L << 20 : 1L << 30)) {
      BenchLimits.Rates rates = limits.measure();
      DiskProbe.Result disk = DiskProbe.readNewFile(folder.toAbsolutePath(), DISK_BYTES, 2);
      printLimits(terminal, backend, rates, disk);
      List<BenchResult> results = measure(terminal, backend, limits);
      print(terminal, results);
      if (json != null) json.write(generator -> write(generator, rates, disk, results));
      draw(backend, results);
      terminal.out().println("\nchart: " + png);
      terminal.out().flush();
    }
    return ExitCode.DONE;
  }

  private static void printLimits(
      Terminal terminal, CpuBackend backend, BenchLimits.Rates rates, DiskProbe.Result disk) {
    Table.ofFacts()
        .row("backend", backend.description())
        .row(
            "memory, read",
            Units.threeDigits(rates.readBytesPerSecond() / 1e9)
                + " GB/s, huge pages where the system grants them")
        .row(
            "f32 arithmetic",
            Units.threeDigits(rates.f32OperationsPerSecond() / 1e9) + " Gop/s, in registers")
        .row(
            "bf16 arithmetic",
            Units.threeDigits(rates.bf16OperationsPerSecond() / 1e9) + " Gop/s, in registers")
        .row(
            "disk, read",
            Units.threeDigits(disk.gigabytesPerSecond())
                + " GB/s"
                + (disk.direct()
                    ? ", past the page cache"
                    : ", through the page cache: may be memory"))
        .print(terminal.out());
    terminal.out().println();
    terminal.out().flush();
  }

  private List<BenchResult> measure(Terminal terminal, CpuBackend backend, BenchLimits limits) {
    DType[] types = quick ? new DType[] {DType.BF16} : new DType[] {DType.BF16, DType.F32};
    int[] tokenCounts = quick ? new int[] {1, 16} : new int[] {1, 16, 128, 512};
    List<BenchResult> results = new ArrayList<>();
    try (Progress progress =
        new Progress(
            terminal,
            "bench",
            "sizes",
            (long) types.length * shapes.length * tokenCounts.length + 4)) {
      for (DType type : types) {
        for (BenchShape shape : shapes) {
          try (BenchMoeBlock.Weights weights = new BenchMoeBlock.Weights(shape, type, 1L << 30)) {
            for (int tokens : tokenCounts)
              add(results, new BenchMoeBlock(backend, weights, tokens), limits, progress);
          }
        }
      }
      add(results, new BenchRouter(backend, 1), limits, progress);
      add(results, new BenchRouter(backend, 512), limits, progress);
      add(results, new BenchAttention(backend, 4096, 1), limits, progress);
      add(results, new BenchAttention(backend, 1024, 512), limits, progress);
    }
    return results;
  }

  private void add(
      List<BenchResult> results, BenchOperation operation, BenchLimits limits, Progress progress) {
    try (operation) {
      results.add(BenchResult.of(operation, limits, threads));
    }
    progress.update(results.size());
  }

  private void print(Terminal terminal, List<BenchResult> results) {
    Table table =
        Table.withHeading(
            "operation", "shape", "type", "tokens", "time", "GB/s", "Gop/s", "limited by", "share");
    for (BenchResult result : results) {
      table.row(
          result.operation(),
          result.shape(),
          result.type().toString(),
          Integer.toString(result.tokens()),
          Units.duration(Math.round(1e9 * result.seconds())),
          rate(result.bytesPerSecond()),
          rate(result.operationsPerSecond()),
          result.limit(),
          Units.percent(result.share()));
    }
    table.print(terminal.out());
    terminal.out().println();
    Table means = Table.withHeading("MoE block, geometric mean", "tokens", "share");
    geometricMeans(results)
        .forEach(
            (name, share) ->
                means.row(
                    name.substring(0, name.indexOf(',')),
                    name.substring(name.indexOf(',') + 1),
                    Units.percent(share)));
    means.print(terminal.out());
  }

  private static String rate(double perSecond) {
    return Double.isNaN(perSecond) ? "-" : Units.threeDigits(perSecond / 1e9);
  }

  /** By {@code "type,tokens"}. */
  private Map<String, Double> geometricMeans(List<BenchResult> results) {
    Map<String, Double> means = new LinkedHashMap<>();
    for (BenchResult result : results) {
      if (isMoeBlock(result))
        means.merge(
            result.type() + "," + result.tokens(),
            Math.log(result.share()) / shapes.length,
            Double::sum);
    }
    means.replaceAll((name, sum) -> Math.exp(sum));
    return means;
  }

  private static boolean isMoeBlock(BenchResult result) {
    return result.operation().equals("MoE block");
  }

  private void draw(CpuBackend backend, List<BenchResult> results) {
    BarChart chart =
        new BarChart(
            "Mixture-of-experts layers: share of the machine's limit, " + backend.description(),
            "% of the limit");
    List<String> models = new ArrayList<>();
    for (BenchShape shape : shapes) models.add(shape.model);
    Map<String, List<Double>> series = new LinkedHashMap<>();
    for (BenchResult result : results) {
      String name =
          result.type() + ", " + result.tokens() + (result.tokens() == 1 ? " token" : " tokens");
      if (isMoeBlock(result))
        series
            .computeIfAbsent(name, key -> new ArrayList<>())
            .add((double) Math.round(1000 * result.share()) / 10);
    }
    series.forEach((name, shares) -> chart.add(name, models, shares));
    chart.write(png);
  }

  private void write(
      JsonGenerator json, BenchLimits.Rates rates, DiskProbe.Result disk, List<BenchResult> results)
      throws IOException {
    json.writeStartObject();
    json.writeNumberField("threads", threads);
    json.writeStringField("instruction_set", InstructionSet.best().toString());
    json.writeNumberField("memory_read_bytes_per_second", rates.readBytesPerSecond());
    json.writeNumberField("f32_operations_per_second", rates.f32OperationsPerSecond());
    json.writeNumberField("bf16_operations_per_second", rates.bf16OperationsPerSecond());
    json.writeNumberField("disk_read_bytes_per_second", disk.bytesRead() / disk.seconds());
    json.writeBooleanField("disk_direct", disk.direct());
    json.writeArrayFieldStart("results");
    for (BenchResult result : results) {
      json.writeStartObject();
      json.writeStringField("operation", result.operation());
      json.writeStringField("shape", result.shape());
      json.writeStringField("type", result.type().toString());
      json.writeNumberField("tokens", result.tokens());
      json.writeNumberField("seconds", result.seconds());
      if (!Double.isNaN(result.share())) {
        json.writeNumberField("bytes_per_second", result.bytesPerSecond());
        json.writeNumberField("operations_per_second", result.operationsPerSecond());
        json.writeNumberField("share_of_limit", result.share());
      }
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }
}
