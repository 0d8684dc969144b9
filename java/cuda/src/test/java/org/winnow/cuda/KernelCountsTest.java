package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.cuda.GpuReport.Launch;
import org.winnow.internal.Internals;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.DeviceTables;
import org.winnow.op.KvCache;
import org.winnow.op.RmsNorm;

/** The table of counts in docs/cuda.md is what the stand-in counts. */
@OnStandInOnly
class KernelCountsTest {
  private static final Path MANUAL = Path.of("../../docs/cuda.md");
  private static final String HEADER =
      "| kernel | case | bytes read of | requested | distinct | of the sectors | MMA | excess wavefronts |";

  private final List<String> table = new ArrayList<>();

  @Test
  void theManualHoldsWhatIsCounted() throws Exception {
    products(
        GroupedGemmPath.AUTOMATIC, DType.F32, 2048, 768, "2 of 4 experts, a row each", 1, 0, 0, 1);
    String tiles = "rows per expert: 64, 0, 20, 130";
    products(GroupedGemmPath.TILES, DType.F32, 512, 256, tiles, 64, 0, 20, 130);
    products(GroupedGemmPath.TILES, DType.BF16, 512, 256, tiles, 64, 0, 20, 130);
    attention(1, 1000);
    attention(64, 1000);
    norm();
    List<String> manual = Files.readAllLines(MANUAL);
    int begin = manual.indexOf(HEADER);
    assertThat(begin).as("the table's header in docs/cuda.md").isPositive();
    assertThat(manual.subList(begin + 2, begin + 2 + table.size()))
        .as("the table should be\n" + String.join("\n", table))
        .isEqualTo(table);
  }

  /** Gate and up of experts, bf16 weights. */
  private void products(
      GroupedGemmPath path,
      DType inputType,
      int inputSize,
      int outputSize,
      String what,
      int... rows) {
    try (CudaBackend backend = new CudaBackend(0, Long.MAX_VALUE, path);
        GroupedGemmLayer layer =
            new GroupedGemmLayer(
                backend, inputType, WeightFormat.BF16, true, inputSize, outputSize, rows)) {
      List<Long> weights = new ArrayList<>();
      for (Matrix gate : layer.gates) weights.add(Internals.address(gate.plane(0)));
      for (Matrix up : layer.ups) weights.add(Internals.address(up.plane(0)));
      Launch launch = layer.launch();
      row(what + "; " + inputSize + " to " + outputSize, "weights", List.of(launch), weights);
    }
  }

  /** 32 heads of 4 groups, 128 wide. */
  private void attention(int numTokens, int numPositions) {
    int kvHeads = 4;
    int heads = 32;
    int width = 128;
    try (CudaBackend backend = new CudaBackend();
        KvCache cache = new KvCache(backend.memory(), 1, kvHeads, width, width, numPositions);
        Tensor rows = random(backend, numPositions, kvHeads, width);
        Tensor query = random(backend, numTokens, heads, width);
        Tensor output = backend.f32(numTokens, heads, width)) {
      cache.append(backend, 0, rows, rows);
      output.toFloatArray();
      GpuReport.take();
      var options = AttentionOptions.causal(0.1f);
      Attention.run(backend, query, cache, 0, numPositions - numTokens, options, output);
      output.toFloatArray();
      int numPages = (numPositions + KvCache.PAGE_TOKENS - 1) / KvCache.PAGE_TOKENS;
      List<Long> pages =
          IntStream.range(0, numPages).mapToObj(page -> DeviceTables.keyPage(cache, page)).toList();
      String tokens = numTokens == 1 ? "1 token" : numTokens + " tokens";
      row(
          tokens + " behind " + (numPositions - numTokens) + "; 32 heads of 4, 128 wide",
          "keys, values",
          GpuReport.take().launches(),
          pages);
    }
  }

  private void norm() {
    try (CudaBackend backend = new CudaBackend();
        Tensor input = random(backend, 8, 2880);
        Tensor weight = random(backend, 2880);
        Tensor output = backend.f32(8, 2880)) {
      output.toFloatArray();
      GpuReport.take();
      RmsNorm.run(backend, input, weight, output, 1e-6f);
      output.toFloatArray();
      row("8 rows of 2880", "rows", GpuReport.take().launches(), List.of(Internals.address(input)));
    }
  }

  private static Tensor random(CudaBackend backend, long... shape) {
    Tensor tensor = backend.f32(shape);
    Random random = new Random(1);
    float[] values = new float[Math.toIntExact(tensor.size())];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    return tensor.copyFrom(values);
  }

  private void row(String what, String of, List<Launch> launches, List<Long> allocations) {
    long requested = sum(launches, allocations, "load_bytes");
    long sectors = sum(launches, allocations, "load_sectors");
    long distinct = sum(launches, allocations, "distinct_load_bytes"); // no two launches read one
    long wavefronts = sum(launches, "shared_wavefronts");
    long ideal = sum(launches, "shared_ideal_wavefronts");
    List<String> names = launches.stream().map(launch -> "`" + launch.kernel() + "`").toList();
    table.add(
        String.format(
            Locale.ROOT,
            "| %s | %s | %s | %,d | %,d | %.1f %% | %,d | %s |",
            String.join(", ", names),
            what,
            of,
            requested,
            distinct,
            100.0 * requested / (32 * sectors),
            sum(launches, "mma"),
            ideal == 0
                ? "-"
                : String.format(Locale.ROOT, "%.1f %%", 100.0 * (wavefronts - ideal) / ideal)));
  }

  private static long sum(List<Launch> launches, String counter) {
    return launches.stream().mapToLong(launch -> launch.counter(counter)).sum();
  }

  private static long sum(List<Launch> launches, List<Long> allocations, String what) {
    return launches.stream()
        .flatMap(launch -> launch.allocations().stream())
        .filter(allocation -> allocations.contains((Long) allocation.get("address")))
        .mapToLong(allocation -> (Long) allocation.get(what))
        .sum();
  }
}
