package org.winnow.gpucheck;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What the lines of a part and the end of its process say together. */
class PartResultTest {
  @TempDir Path output;

  private PartResult result(Part part, PartRun.End end, List<Map<String, Object>> written)
      throws Exception {
    ResultLines lines = new ResultLines(output.resolve("lines"));
    written.forEach(lines::add);
    Options options = Options.parse("home", "--out", output.toString());
    Path log = Files.writeString(output.resolve("log"), "first\nlast words\n");
    return PartResult.of(part, 10, lines.read(), end, options, log);
  }

  private static Map<String, Object> test(String name, String state) {
    return Map.of("class", "AddTest", "test", name, "state", state, "text", "expected 1, found 2");
  }

  @Test
  void testsThatPassPass() throws Exception {
    PartResult result =
        result(
            Part.SMALL,
            new PartRun.End(0, false, 1),
            List.of(test("adds", "begun"), test("adds", "passed")));
    assertThat(result.state()).isEqualTo(PartResult.PASSED);
    assertThat(result.isGood()).isTrue();
    assertThat(result.line()).isEqualTo("small: passed, passed 1, failed 0, skipped 0, 1 s");
  }

  @Test
  void aFailureIsShownWithItsText() throws Exception {
    PartResult result =
        result(Part.SMALL, new PartRun.End(1, false, 1), List.of(test("adds", "failed")));
    assertThat(result.state()).isEqualTo(PartResult.FAILED);
    assertThat(result.failures()).containsExactly("AddTest adds\nexpected 1, found 2");
  }

  @Test
  void aContractTestThatIsSkippedHasFailed() throws Exception {
    List<Map<String, Object>> lines = List.of(test("adds", "skipped"));
    assertThat(result(Part.LARGE, new PartRun.End(0, false, 1), lines).isGood()).isFalse();
  }

  @Test
  void aTestOfModelsMayBeSkipped() throws Exception {
    List<Map<String, Object>> lines = List.of(test("counts", "skipped"), test("says", "passed"));
    assertThat(result(Part.MODEL, new PartRun.End(0, false, 1), lines).isGood()).isTrue();
  }

  @Test
  void whatWasRunningAtTheLimitIsNamed() throws Exception {
    PartResult result =
        result(
            Part.SMALL,
            new PartRun.End(0, true, 10),
            List.of(test("adds", "begun"), test("adds", "passed"), test("hangs", "begun")));
    assertThat(result.state()).isEqualTo(PartResult.STOPPED);
    assertThat(result.isGood()).isFalse();
    assertThat(result.text()).isEqualTo("running then: AddTest hangs");
  }

  @Test
  void aCrashIsShownWithTheEndOfTheLog() throws Exception {
    PartResult result =
        result(Part.SMALL, new PartRun.End(134, false, 1), List.of(test("aborts", "begun")));
    assertThat(result.state()).isEqualTo(PartResult.CRASHED);
    assertThat(result.text())
        .startsWith("exit code 134, running then: AddTest aborts")
        .endsWith("last words");
  }

  @Test
  void whatTheSanitizerFindsIsAFailureAndNoCrash() throws Exception {
    List<Map<String, Object>> lines = List.of(Map.of("kind", "launched", "kernel", "add_f32"));
    assertThat(result(Part.SANITIZER, new PartRun.End(Commands.FOUND, false, 1), lines).state())
        .isEqualTo(PartResult.FAILED);
    assertThat(result(Part.COUNTERS, new PartRun.End(Commands.FOUND, false, 1), lines).state())
        .isEqualTo(PartResult.CRASHED);
  }

  @Test
  void nothingWrittenIsAFailure() throws Exception {
    assertThat(result(Part.KERNELS, new PartRun.End(0, false, 1), List.of()).state())
        .isEqualTo(PartResult.FAILED);
  }

  @Test
  void aLineThatWasCutShortIsLeftOut() throws Exception {
    Path file = output.resolve("cut");
    ResultLines lines = new ResultLines(file);
    lines.add(Map.of("kind", "kernel", "seconds", 0.5));
    Files.writeString(file, Files.readString(file) + "{\"kind\":\"kern");
    assertThat(lines.read()).containsExactly(Map.of("kind", "kernel", "seconds", 0.5));
  }

  @Test
  void benchmarksAreReadFromTheirTable() {
    List<Map<String, Object>> lines =
        Commands.jmh(
            List.of(
                "\"Benchmark\",\"Mode\",\"Threads\",\"Samples\",\"Score\",\"Score Error (99.9%)\",\"Unit\",\"Param: backendName\",\"Param: model\"",
                "\"org.winnow.bench.MoeLayerBenchmark.sparse\",\"avgt\",1,3,120.500000,NaN,\"us/op\",cuda,OLMOE"));
    assertThat(lines).hasSize(1);
    assertThat(lines.get(0))
        .containsEntry("benchmark", "MoeLayerBenchmark.sparse")
        .containsEntry("score", 120.5)
        .containsEntry("unit", "us/op")
        .containsEntry("parameters", "backendName cuda, model OLMOE");
  }
}
