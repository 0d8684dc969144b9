package org.winnow.gpucheck;

import java.io.IOException;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The report for people. */
final class MarkdownReport {
  private final Report report;
  private final StringBuilder text = new StringBuilder();

  MarkdownReport(Report report) {
    this.report = report;
  }

  String text() throws IOException {
    head();
    parts();
    failures();
    kernels();
    benchmarks();
    tool(Part.SANITIZER, "compute-sanitizer");
    tool(Part.COUNTERS, "ncu");
    return text.toString();
  }

  private void line(String format, Object... values) {
    text.append(values.length == 0 ? format : String.format(Locale.ROOT, format, values))
        .append('\n');
  }

  private void head() {
    line("# Winnow on " + report.facts().getOrDefault("device", "this machine"));
    line("");
    if (report.isSimulated()) {
      line(
          "**Simulated: no GPU time.** The kernels ran in an interpreter on the CPU. No time below is one of a GPU.");
      line("");
    }
    line("- " + report.summary());
    line("- date: " + report.begun());
    GpuCheck.version(report.options().home())
        .forEach((name, value) -> line("- bundle, " + name + ": " + value));
    report
        .facts()
        .forEach(
            (name, value) -> {
              if (!name.equals("kind")) line("- " + name + ": " + value);
            });
    report.host().forEach((name, value) -> line("- host, " + name + ": " + value));
    line("");
  }

  private void parts() {
    line("## Parts");
    line("");
    line("| part | does | state | passed | failed | skipped | time | limit |");
    line("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (PartResult result : report.results()) {
      String why = result.text().lines().findFirst().orElse("");
      line(
          "| %s | %s | %s | %s | %s | %s | %.1f s | %d s |",
          result.part().name(),
          result.part().does(),
          result.state() + (why.isEmpty() ? "" : ": " + why),
          result.passed(),
          result.failures().size(),
          result.skipped(),
          result.seconds(),
          result.limitSeconds());
    }
    line("");
  }

  private void failures() {
    for (PartResult result : report.results()) {
      if (result.isGood()) continue;
      line("## " + result.part().name() + ": " + result.state());
      line("");
      if (!result.text().isEmpty()) code(result.text());
      for (String failure : result.failures()) code(failure);
    }
  }

  private void code(String what) {
    line("```");
    line(what.strip().replace("```", "'''"));
    line("```");
    line("");
  }

  private void kernels() {
    List<Map<String, Object>> limits = report.lines(Part.KERNELS, "limits");
    if (limits.isEmpty()) return;
    Map<String, Object> limit = limits.get(0);
    String time = report.isSimulated() ? Report.SIMULATED : "time";
    line("## Kernels");
    line("");
    if (report.isSimulated()) line("- " + Report.SIMULATED);
    line(
        "- copy on the device, bytes read and written: %.1f GB/s",
        number(limit, "copyBytesPerSecond") / 1e9);
    line("- MMA, bf16: %.2f TFLOP/s", number(limit, "bf16OperationsPerSecond") / 1e12);
    line("- multiply-adds, f32: %.2f TFLOP/s", number(limit, "f32OperationsPerSecond") / 1e12);
    line(
        "- two events with nothing between them: %.2f us", number(limit, "secondsOfNothing") * 1e6);
    line("");
    line(
        "The time is the median of launches from cold caches, with the cost of a launch. The share is that of the limit which takes longer.");
    line(
        "The last columns are what the stand-in counts for the same case: bytes requested and distinct, share of the sectors used, MMA instructions, excess wavefronts.");
    line("");
    line(
        "| kernel | case | "
            + time
            + " | share | of | requested | distinct | of the sectors | MMA | excess wavefronts |");
    line("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (Map<String, Object> kernel : report.kernels()) {
      line(
          "| `%s` | %s | %.2f us | %s | %s | %s | %s | %s | %s | %s |",
          kernel.get("kernel"),
          kernel.get("case"),
          number(kernel, "seconds") * 1e6,
          kernel.containsKey("share")
              ? String.format(Locale.ROOT, "%.1f %%", 100 * number(kernel, "share"))
              : "-",
          kernel.get("of"),
          kernel.getOrDefault("bytesRequested", "-"),
          kernel.getOrDefault("bytesDistinct", "-"),
          kernel.getOrDefault("shareOfSectors", "-"),
          kernel.getOrDefault("mma", "-"),
          kernel.getOrDefault("excessWavefronts", "-"));
    }
    line("");
  }

  private static double number(Map<String, Object> line, String name) {
    return line.get(name) instanceof Number value ? value.doubleValue() : Double.NaN;
  }

  private void benchmarks() {
    List<Map<String, Object>> done = report.lines(Part.BENCHMARKS, "benchmark");
    List<Map<String, Object>> missing = report.lines(Part.BENCHMARKS, "not run");
    if (done.isEmpty() && missing.isEmpty()) return;
    line("## Benchmarks");
    line("");
    line(
        "The time of a call ends when the first value of its result has arrived in the host's memory.");
    line("");
    line(
        "| benchmark | parameters | "
            + (report.isSimulated() ? Report.SIMULATED : "time")
            + " | error (99.9 %) |");
    line("| --- | --- | --- | --- |");
    for (Map<String, Object> line : done) {
      line(
          "| `%s` | %s | %.2f %s | %.2f |",
          line.get("benchmark"),
          line.get("parameters"),
          number(line, "score"),
          line.get("unit"),
          number(line, "error"));
    }
    for (Map<String, Object> line : missing)
      line("| `%s` | | %s | |", line.get("what"), line.get("text"));
    line("");
  }

  /** The end of what a tool printed. */
  private void tool(Part part, String name) throws IOException {
    if (report.results().stream().noneMatch(result -> result.part() == part && result.ran()))
      return;
    line("## " + name);
    line("");
    code(String.join("\n", report.output(part)));
  }
}
