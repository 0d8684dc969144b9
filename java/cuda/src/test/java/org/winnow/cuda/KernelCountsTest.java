package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.winnow.cuda.GpuReport.Launch;

/** The table of counts in docs/cuda.md is what the stand-in counts. */
@OnStandInOnly
class KernelCountsTest {
  private static final Path MANUAL = Path.of("../../docs/cuda.md");
  private static final String HEADER =
      "| kernel | case | bytes read of | requested | distinct | of the sectors | MMA | excess wavefronts |";

  private final List<String> table = new ArrayList<>();

  @Test
  void theManualHoldsWhatIsCounted() throws Exception {
    for (Supplier<KernelCase> opener : KernelCases.counted()) {
      try (KernelCase one = opener.get()) {
        row(one);
      }
    }
    List<String> manual = Files.readAllLines(MANUAL);
    int begin = manual.indexOf(HEADER);
    assertThat(begin).as("the table's header in docs/cuda.md").isPositive();
    assertThat(manual.subList(begin + 2, begin + 2 + table.size()))
        .as("the table should be\n" + String.join("\n", table))
        .isEqualTo(table);
  }

  private void row(KernelCase one) {
    one.await();
    GpuReport.take();
    one.run();
    one.await();
    List<Launch> launches = GpuReport.take().launches();
    long requested = sum(launches, one.read(), "load_bytes");
    long sectors = sum(launches, one.read(), "load_sectors");
    long distinct = sum(launches, one.read(), "distinct_load_bytes"); // no two launches read one
    long wavefronts = sum(launches, "shared_wavefronts");
    long ideal = sum(launches, "shared_ideal_wavefronts");
    List<String> names = launches.stream().map(Launch::kernel).toList();
    assertThat(String.join(", ", names)).isEqualTo(one.kernels);
    table.add(
        String.format(
            Locale.ROOT,
            "| %s | %s | %s | %,d | %,d | %.1f %% | %,d | %s |",
            "`" + String.join("`, `", names) + "`",
            one.what,
            one.bytesOf(),
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
