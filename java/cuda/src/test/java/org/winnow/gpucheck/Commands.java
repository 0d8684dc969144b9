package org.winnow.gpucheck;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The processes of each part. */
final class Commands {
  static final int MIN_STEP_SECONDS = 5;
  static final int FOUND = 9; // exit code of compute-sanitizer if it has found something

  /** JMH's name, then its parameters. */
  private static final String[][] BENCHMARKS = {
    {"MoeLayerBenchmark.sparse", "model=OLMOE", "numTokens=1"},
    {"MoeLayerBenchmark.sparse", "model=OLMOE", "numTokens=32"},
    {"GroupedGemmBenchmark.sparse", "model=OLMOE", "dtype=BF16", "numTokens=1"},
    {"GroupedGemmBenchmark.sparse", "model=OLMOE", "dtype=BF16", "numTokens=512"},
    {"MlaAttentionBenchmark.absorbed", "numTokens=1"},
    {"MlaAttentionBenchmark.absorbed", "numTokens=256"},
    {"SamplerBenchmark.sample", "rule=TOP_P_95"},
  };

  private static final List<String> BACKEND_TESTS =
      List.of(
          "CapturedMoeLayerTest",
          "CapturedAttentionTest",
          "CudaGraphTest",
          "CudaMemoryTest",
          "DeviceExpertsTest",
          "SameBitsAsOnCpuTest",
          "CudaTransferQueueTest",
          "LateRefusalsTest");

  private final Options options;
  private final Part part;

  Commands(Options options, Part part) {
    this.options = options;
    this.part = part;
  }

  /** One process. */
  record Step(String what, List<String> command, Path directory, boolean isLast, Path csv) {
    /** Takes over what the process has written in a format of its own. */
    void afterwards(ResultLines lines) throws IOException {
      if (csv == null || !Files.exists(csv)) return;
      for (Map<String, Object> line : jmh(Files.readAllLines(csv))) lines.add(line);
    }
  }

  List<Step> steps() {
    if (part == Part.DEVICE) return one(java("org.winnow.cuda.DeviceFactsMain"));
    if (part == Part.SMALL || part == Part.LARGE)
      return one(
          tests("--scan-classpath=" + library("winnow-core", "tests"), "--include-tag=contract"));
    if (part == Part.MODEL) return one(tests("--select-class=org.winnow.cuda.CudaModelTest"));
    if (part == Part.BACKEND)
      return one(
          tests(
              BACKEND_TESTS.stream()
                  .map(name -> "--select-class=org.winnow.cuda." + name)
                  .toArray(String[]::new)));
    if (part == Part.KERNELS) return one(java("org.winnow.cuda.KernelTimesMain"));
    if (part == Part.SANITIZER)
      return one(
          under(
              "compute-sanitizer", List.of("--tool", "memcheck", "--error-exitcode", "" + FOUND)));
    if (part == Part.COUNTERS)
      return one(
          under(
              "ncu",
              List.of(
                  "--csv",
                  "--page",
                  "raw",
                  "--target-processes",
                  "all",
                  "--metrics",
                  "gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum,"
                      + "l1tex__data_bank_conflicts_pipe_lsu.sum,sm__inst_executed_pipe_tensor.sum")));
    return benchmarks();
  }

  private List<Step> one(List<String> command) {
    Path directory = part == Part.MODEL ? options.repository() : options.work();
    return List.of(new Step(part.does(), command, directory, true, null));
  }

  /** A virtual machine with the bundle's jars. */
  private List<String> java(String main, String... arguments) {
    List<String> command = new ArrayList<>();
    Path work = options.work();
    command.add(options.home().resolve("runtime/bin/java").toString());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-Xmx2g");
    command.add("-XX:-CreateCoredumpOnCrash");
    command.add("-XX:ErrorFile=" + crash(options, part));
    command.add("-Djava.io.tmpdir=" + work);
    command.add("-Duser.home=" + work);
    command.add("-Djava.awt.headless=true");
    command.add("-Dorg.bytedeco.javacpp.cachedir=" + work.resolve("javacpp"));
    command.add(
        "-D" + ResultLines.PROPERTY + "=" + options.output().resolve(part.name() + ".jsonl"));
    command.add("-Dwinnow.test.driver=real");
    command.add("-Dwinnow.test.tier=" + (part == Part.LARGE ? "large" : "small"));
    command.add("-cp");
    command.add(options.home().resolve("lib") + "/*");
    command.add(main);
    command.addAll(List.of(arguments));
    return command;
  }

  /** What a virtual machine that ends by a signal of its own writes. */
  static Path crash(Options options, Part part) {
    return options.output().resolve(part.name() + "-crash.log");
  }

  private List<String> tests(String... selection) {
    List<String> arguments =
        new ArrayList<>(
            List.of("execute", "--details=none", "--disable-banner", "--disable-ansi-colors"));
    arguments.addAll(List.of(selection));
    return java("org.junit.platform.console.ConsoleLauncher", arguments.toArray(String[]::new));
  }

  private List<String> under(String tool, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(options.tool(tool).toString());
    command.addAll(arguments);
    command.addAll(java("org.winnow.cuda.KernelTimesMain", "--once"));
    return command;
  }

  private List<Step> benchmarks() {
    List<Step> steps = new ArrayList<>();
    for (String[] benchmark : BENCHMARKS) {
      Path csv = options.work().resolve("benchmark-" + steps.size() + ".csv");
      List<String> arguments = new ArrayList<>();
      arguments.add("\\." + benchmark[0] + "$");
      for (String setting :
          "-f 0 -wi 1 -w 1 -i 3 -r 1 -foe true -p backendName=cuda -rf csv".split(" "))
        arguments.add(setting);
      arguments.addAll(List.of("-rff", csv.toString()));
      for (int i = 1; i < benchmark.length; i++)
        arguments.addAll(
            List.of("-p", options.standIn() == null ? benchmark[i] : small(benchmark[i])));
      steps.add(
          new Step(
              String.join(" ", benchmark),
              java("org.openjdk.jmh.Main", arguments.toArray(String[]::new)),
              options.work(),
              steps.size() == BENCHMARKS.length - 1,
              csv));
    }
    return steps;
  }

  /** The same of a model that an interpreter runs in seconds. */
  private static String small(String setting) {
    return setting.startsWith("model=") ? "model=KJV_MOE" : setting;
  }

  /** The jar of that name, whatever its version. */
  private Path library(String name, String classifier) {
    try (var jars = Files.list(options.home().resolve("lib"))) {
      return jars.filter(
              jar ->
                  jar.getFileName().toString().matches(name + "-[0-9].*-" + classifier + "\\.jar"))
          .findFirst()
          .orElseThrow(
              () ->
                  new IllegalStateException(
                      "no jar " + name + " of " + classifier + " in " + options.home()));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  /** JMH's table: a header, then a line per benchmark; commas only inside quotes. */
  static List<Map<String, Object>> jmh(List<String> csv) {
    List<Map<String, Object>> lines = new ArrayList<>();
    for (int i = 1; i < csv.size(); i++) {
      String[] names = csv.get(0).split(",(?=\")");
      String[] values = csv.get(i).split(",(?=([^\"]*\"[^\"]*\")*[^\"]*$)", -1);
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("kind", "benchmark");
      StringBuilder parameters = new StringBuilder();
      for (int column = 0; column < Math.min(names.length, values.length); column++) {
        String name = names[column].replace("\"", "");
        String value = values[column].replace("\"", "");
        switch (name) {
          case "Benchmark" ->
              line.put("benchmark", value.replaceFirst("^org\\.winnow\\.bench\\.", ""));
          case "Score" -> line.put("score", number(value));
          case "Score Error (99.9%)" -> line.put("error", number(value));
          case "Unit" -> line.put("unit", value);
          default -> {
            if (name.startsWith("Param: ") && !value.isEmpty())
              parameters
                  .append(parameters.isEmpty() ? "" : ", ")
                  .append(name.substring(7))
                  .append(" ")
                  .append(value);
          }
        }
      }
      line.put("parameters", parameters.toString());
      lines.add(line);
    }
    return lines;
  }

  private static double number(String text) {
    try {
      return Double.parseDouble(text);
    } catch (NumberFormatException e) {
      return Double.NaN; // so JMH writes what it does not know
    }
  }
}
