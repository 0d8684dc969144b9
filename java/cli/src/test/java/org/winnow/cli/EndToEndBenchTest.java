package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.models.ModelReport;
import org.winnow.workload.MoeShape;

class EndToEndBenchTest {
  @TempDir Path folder;

  private CapturedRun bench(Object... more) {
    Stream<Object> options =
        Stream.of(
            "bench",
            "--end-to-end",
            "--quick",
            "--shape",
            "kjv_moe",
            "--layers",
            2,
            "--vocabulary",
            300,
            "--prompt-tokens",
            24,
            "--new-tokens",
            6,
            "--lengths",
            16,
            "--made",
            folder);
    return CapturedRun.of(Stream.concat(options, Stream.of(more)).toArray());
  }

  @Test
  void everyCaseIsMeasuredInEveryRound() throws IOException {
    CapturedRun run =
        bench("--threads", "1,2", "--rounds", 2, "--runs", 2, "--cache-type", "bf16", "--json");
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.err()).contains("bench: 100 %", "pp24", "tg6", "first token", "share of limit");
    Map<?, ?> json = JsonTree.parse(run.out());
    assertThat(((Map<?, ?>) json.get("machine")).keySet())
        .hasToString("[processor, processors, memory_bytes, instruction_set]");
    List<?> results = (List<?>) json.get("results");
    int ofLimits = 3; // disk, memory, arithmetic
    assertThat((List<?>) json.get("profile")).hasSize(2 * 2);
    assertThat(run.err()).contains("groupedGemm", "between operations", "attention, decode at 16");
    assertThat(results).hasSize(2 * (2 * 4 + ofLimits + 2));
    for (Object result : results) {
      Map<?, ?> fields = (Map<?, ?>) result;
      assertThat((double) fields.get("median")).isPositive();
      if (fields.get("budget").equals("-")) continue;
      boolean speed = fields.get("unit").equals("tokens/s");
      assertThat((List<?>) fields.get("samples")).hasSize(speed ? 4 : 2);
      assertThat((double) fields.get("median"))
          .isBetween((double) fields.get("lowest"), (double) fields.get("highest"))
          .isPositive();
      assertThat((double) fields.get("share_of_limit")).isPositive();
      if (speed && fields.get("budget").equals("100 %"))
        assertThat((double) fields.get("experts_read")).as("warmed up: %s", fields).isZero();
      if (speed && fields.get("budget").equals("25 %"))
        assertThat((double) fields.get("experts_read")).as("%s", fields).isPositive();
    }
  }

  @Test
  void aDenseModelInATinyFileIsMeasuredToo() {
    CapturedRun run =
        CapturedRun.of(
            "bench",
            "--end-to-end",
            Shipped.golden("llama"),
            "--quick",
            "--threads",
            1,
            "--rounds",
            1,
            "--runs",
            1,
            "--prompt-tokens",
            8,
            "--new-tokens",
            2,
            "--budget",
            "100%");
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).contains("pp8", "tg2").doesNotContain("limit: disk");
  }

  @Test
  void aMadeModelIsKeptWhereItIsAskedForOnly() throws IOException {
    Object[] once = {"--threads", 1, "--rounds", 1, "--runs", 1, "--budget", "100%"};
    assertThat(bench(once).exitCode()).isZero();
    Path weights = folder.resolve("kjv_moe-2-layers-300-tokens-bf16/model.safetensors");
    Object written = Files.getLastModifiedTime(weights);
    assertThat(bench(once).exitCode()).isZero();
    assertThat(Files.getLastModifiedTime(weights)).isEqualTo(written);
    Files.write(weights, new byte[100]); // a copy that was cut off
    assertThat(bench(once).exitCode()).isZero();
    assertThat(Files.size(weights)).isGreaterThan(100);
  }

  @ParameterizedTest
  @ValueSource(strings = {"KJV_MOE", "OLMOE", "GPT_OSS_20B", "QWEN3_30B_A3B"})
  void modelsAreMadeAsTheirFamiliesStoreThem(MoeShape moe) {
    CheckpointShape shape = CheckpointShape.of(moe, 3, 64);
    assertThat(shape).isNotNull();
    assertThat(JsonDocument.line(json -> json.writeRawValue(shape.config())))
        .contains("model_type");
    long elements = 0;
    for (long[] extents : shape.tensors().values()) {
      long product = 1;
      for (long extent : extents) product *= extent;
      elements += product;
    }
    assertThat(elements)
        .isGreaterThan(3L * moe.numExperts() * moe.expertElements())
        .isLessThan((long) (3.3 * moe.numExperts() * moe.expertElements()) + 3L * 30_000_000);
  }

  @Test
  void theCheckpointHasTheSizesOfItsShape() throws IOException {
    CheckpointShape shape = CheckpointShape.of(MoeShape.KJV_MOE, 2, 300);
    assertThat(shape).isNotNull();
    ModelReport report = ModelReport.of(RandomCheckpoint.in(folder, shape));
    assertThat(report.obstacles()).isEmpty();
    assertThat(report.remarks()).isEmpty();
    assertThat(report.expertBytes()).isEqualTo(2L * 2 * 32 * MoeShape.KJV_MOE.expertElements());
    ModelWork work = ModelWork.of(report, report.config());
    double attention = 256 * 32 * (8 + 4 + 4 + 8); // q, k, v, o
    double weights = 2 * (attention + 256 * 32 + 4 * MoeShape.KJV_MOE.expertElements());
    double norms = 2 * (256 + 256 + 32 + 32) + 256;
    assertThat(work.operationsPerToken()).isEqualTo(2 * (weights + norms));
    assertThat(work.outputOperations()).isEqualTo(2.0 * 300 * 256);
    SpeedTest decode = new SpeedTest(SpeedTest.Kind.DECODE, 5);
    double dense = 2 * (2 * (attention + 256 * 32) + norms + 300 * 256 + 256);
    assertThat(work.of(decode, 40).bytes())
        .isEqualTo(5 * dense + 40 * 2.0 * MoeShape.KJV_MOE.expertElements());
  }

  @Test
  void whatIsWrongIsNamed() {
    assertThat(CapturedRun.of("bench", "--rounds", 2).err())
        .contains("--rounds needs --end-to-end");
    assertThat(CapturedRun.of("bench", "models").err()).contains("PATH models needs --end-to-end");
    assertThat(CapturedRun.of("bench", "--threads", "1,2").err())
        .contains("--threads must be one number");
    assertThat(CapturedRun.of("bench", "--end-to-end", "--rounds", 0).err())
        .contains("--rounds must be at least 1, found 0");
    assertThat(CapturedRun.of("bench", "--end-to-end", "--layers", 0).err())
        .contains("--layers must be at least 1, found 0");
    assertThat(bench("--threads", 0).err()).contains("--threads must lie in [1, ");
    assertThat(CapturedRun.of("bench", "--end-to-end", "--shape", "deepseek_v2_lite").err())
        .contains("no model of deepseek_v2_lite is made");
    assertThat(CapturedRun.of("bench", "--end-to-end", "--png", "a.png").err())
        .contains("--png has no effect with --end-to-end");
    Path absent = folder.resolve("absent");
    CapturedRun run = CapturedRun.of("bench", "--end-to-end", absent);
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).contains(absent.toString());
    assertThat(CapturedRun.of("bench", "--end-to-end", absent, "--made", folder).err())
        .contains("--made is for a model that is made");
  }

  @Test
  void theMiddleOfAnEvenNumberIsAMean() {
    assertThat(Spread.of(List.of(4.0, 1.0, 2.0, 3.0))).isEqualTo(new Spread(2.5, 1, 4));
    assertThat(Spread.of(List.of(4.0, 1.0, 2.0)).toString()).isEqualTo("2.00 (1.00 to 4.00)");
    assertThat(Spread.of(List.of(4.0)).toString()).isEqualTo("4.00");
  }
}
