package org.winnow.gpucheck;

import java.io.IOException;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What is known so far, as Markdown and as JSON. Each is written whole or not at all. */
final class Report {
  static final String SIMULATED = "simulated: no GPU time";

  private static final String MARKDOWN = "report.md";
  private static final String JSON = "report.json";
  private static final int OUTPUT_LINES = 200; // of a tool's output

  private final Options options;
  private final String begun = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
  private final Map<String, Object> host;
  private final KernelCounts counts;
  private final List<PartResult> results = new ArrayList<>();

  Report(Options options) throws IOException {
    this.options = options;
    host = HostFacts.of(options);
    counts = KernelCounts.read(options.home().resolve("kernel-counts.md"));
  }

  void add(PartResult result) {
    results.add(result);
  }

  Path file() {
    return options.output().resolve(MARKDOWN);
  }

  /** Whether all that ran passed and ended in its time. */
  boolean isGood() {
    return results.stream().allMatch(PartResult::isGood);
  }

  String summary() {
    List<String> bad =
        results.stream()
            .filter(r -> !r.isGood())
            .map(r -> r.part().name() + " " + r.state())
            .toList();
    List<String> out = results.stream().filter(r -> !r.ran()).map(r -> r.part().name()).toList();
    return (bad.isEmpty() ? "all that ran passed" : String.join(", ", bad))
        + (out.isEmpty() ? "" : "; left out: " + String.join(", ", out));
  }

  void write() throws IOException {
    replace(options.output().resolve(JSON), JsonText.of(json()));
    replace(file(), new MarkdownReport(this).text());
  }

  private static void replace(Path file, String text) throws IOException {
    Path whole = Files.writeString(file.resolveSibling(file.getFileName() + ".new"), text);
    try {
      Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(whole, file, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  /** Whether times are those of an interpreter. */
  boolean isSimulated() {
    return options.standIn() != null || Boolean.TRUE.equals(facts().get("simulated"));
  }

  Options options() {
    return options;
  }

  String begun() {
    return begun;
  }

  Map<String, Object> host() {
    return host;
  }

  List<PartResult> results() {
    return results;
  }

  /** What the driver says. */
  Map<String, Object> facts() {
    List<Map<String, Object>> facts = lines(Part.DEVICE, "facts");
    return facts.isEmpty() ? Map.of() : facts.get(0);
  }

  /** The lines of that kind that a part has written. */
  List<Map<String, Object>> lines(Part part, String kind) {
    return results.stream()
        .filter(result -> result.part() == part)
        .flatMap(result -> result.lines().stream())
        .filter(line -> kind.equals(line.get("kind")))
        .toList();
  }

  /** Each kernel's time, with what the stand-in counts for that case. */
  List<Map<String, Object>> kernels() {
    List<Map<String, Object>> kernels = new ArrayList<>();
    for (Map<String, Object> line : lines(Part.KERNELS, "kernel")) {
      Map<String, Object> kernel = new LinkedHashMap<>(line);
      kernel.putAll(counts.of(line.get("kernel"), line.get("case")));
      kernels.add(kernel);
    }
    return marked(kernels);
  }

  /** An interpreter's times say that they are none of a GPU, and are no share of anything. */
  private List<Map<String, Object>> marked(List<Map<String, Object>> lines) {
    if (!isSimulated()) return lines;
    return lines.stream()
        .map(
            line -> {
              Map<String, Object> marked = new LinkedHashMap<>(line);
              marked.remove("share");
              marked.put("clock", SIMULATED);
              return marked;
            })
        .toList();
  }

  /** The end of what a part has printed, where it ran. */
  List<String> output(Part part) throws IOException {
    Path log = options.output().resolve(part.name() + ".log");
    if (results.stream().noneMatch(result -> result.part() == part) || !Files.exists(log))
      return List.of();
    List<String> lines = Files.readAllLines(log);
    return lines.subList(Math.max(0, lines.size() - OUTPUT_LINES), lines.size());
  }

  private Map<String, Object> json() throws IOException {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("format", 1);
    json.put("date", begun);
    json.put("bundle", GpuCheck.version(options.home()));
    json.put("simulated", isSimulated());
    json.put("secondsForParts", options.seconds());
    json.put("host", host);
    json.put("device", facts());
    List<Object> parts = new ArrayList<>();
    for (PartResult result : results) {
      Map<String, Object> part = new LinkedHashMap<>();
      part.put("name", result.part().name());
      part.put("does", result.part().does());
      part.put("state", result.state());
      if (!result.text().isEmpty()) part.put("text", result.text());
      part.put("limitSeconds", result.limitSeconds());
      part.put("seconds", result.seconds());
      part.put("testsPassed", result.passed());
      part.put("testsFailed", result.failures().size());
      part.put("testsSkipped", result.skipped());
      part.put("failures", result.failures());
      parts.add(part);
    }
    json.put("parts", parts);
    json.put("limits", marked(lines(Part.KERNELS, "limits")));
    json.put("kernels", kernels());
    json.put("compute-sanitizer", output(Part.SANITIZER));
    json.put("ncu", output(Part.COUNTERS));
    json.put("benchmarks", marked(lines(Part.BENCHMARKS, "benchmark")));
    return json;
  }
}
