package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.winnow.Tensor;
import org.winnow.op.Add;

/** What the stand-in finds in a kernel fails the test that has launched it, and says where. */
@OnStandInOnly
class GpuSimExtensionTest {
  private static final Path SOURCE = Path.of("../../native/cuda/add/add_cuda.cu");
  private static final Pattern RACE =
      Pattern.compile(
          "race in global memory: .+; add_f32, block \\(0,0,0\\), thread \\(\\d+,0,0\\)"
              + ", ptx line (\\d+), native/cuda/add/add_cuda\\.cu:(\\d+)");

  private final GpuSimExtension extension = new GpuSimExtension();

  /** A thread adds what a thread of another warp writes. */
  private static void race() {
    try (var backend = new CudaBackend();
        Tensor rows = backend.f32(3, 65).fill(1)) {
      Add.run(backend, rows.slice(0, 2), rows.slice(1, 3));
      rows.toFloatArray();
    }
  }

  @Test
  void aFindingNamesKernelBlockThreadAndLines() throws Exception {
    race();
    List<String> findings = GpuReport.of(GpuSim.takeReports()).findings();
    assertThat(findings).isNotEmpty();
    for (String finding : findings) {
      assertThat(finding).matches(RACE);
      Matcher place = RACE.matcher(finding);
      place.find();
      assertThat(ptx().get(Integer.parseInt(place.group(1)) - 1))
          .containsPattern("(ld|st)\\.global");
      assertThat(Files.readAllLines(SOURCE).get(Integer.parseInt(place.group(2)) - 1))
          .endsWith("accumulator[i] += addend[i];");
    }
  }

  @Test
  void aFindingFailsTheTest() {
    assertFails(() -> extension.afterEach(null));
    assertFails(() -> extension.afterAll(null));
    assertFails(() -> extension.beforeEach(null));
    assertFails(GpuReport::take);
  }

  private static void assertFails(ThrowingCallable check) {
    race();
    assertThatThrownBy(check)
        .isInstanceOf(AssertionError.class)
        .hasMessageMatching("(?s)" + RACE + ".*");
  }

  @Test
  void aReportWithoutAPartIsRefused() {
    String report = "{\"launches\":[],\"findings\":[],\"refused\":[],\"graph_launches\":0}";
    assertThat(GpuReport.of(report).findings()).isEmpty();
    for (String part : List.of("launches", "findings", "refused", "graph_launches"))
      assertThatThrownBy(() -> GpuReport.of(report.replace(part, "renamed")))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("no " + part + "; there are [");
  }

  private static List<String> ptx() throws Exception {
    try (InputStream ptx = GpuSim.class.getResourceAsStream("kernels/add_cuda.ptx")) {
      return new String(ptx.readAllBytes(), StandardCharsets.UTF_8).lines().toList();
    }
  }
}
