package org.winnow.cuda;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Supplier;
import org.winnow.gpucheck.ResultLines;
import org.winnow.workload.Limits;
import org.winnow.workload.Work;

/**
 * Measures the device's limits, then each kernel's time as a share of them, and writes a line for
 * each. Between two launches more is copied than the caches hold. With {@code --once} it only
 * launches each of the small cases, for tools that watch.
 */
final class KernelTimesMain {
  private static final int MAX_LAUNCHES = 20; // of a case; the median counts
  private static final double MAX_SECONDS = 1; // of a case

  private final ResultLines lines;
  private Limits limits = new Limits(Double.NaN, Double.NaN, Double.NaN);

  private KernelTimesMain(ResultLines lines) {
    this.lines = lines;
  }

  public static void main(String[] arguments) {
    KernelTimesMain times =
        new KernelTimesMain(
            new ResultLines(
                Path.of(Objects.requireNonNull(System.getProperty(ResultLines.PROPERTY)))));
    if (List.of(arguments).contains("--once")) {
      times.once();
      return;
    }
    boolean simulated = times.measureLimits();
    times.all("small", KernelCases.counted());
    if (!simulated) times.all("of models", KernelCases.ofModels()); // an interpreter takes minutes
  }

  private void once() {
    for (Supplier<KernelCase> opener : KernelCases.counted()) {
      try (KernelCase one = opener.get()) {
        one.run();
        one.await();
        lines.add(Map.of("kind", "launched", "kernel", one.kernels, "case", one.what));
      }
    }
  }

  /** Whether the device is simulated. */
  private boolean measureLimits() {
    try (CudaBackend backend = new CudaBackend();
        DeviceLimits probe = new DeviceLimits(backend);
        DeviceTimer timer = new DeviceTimer(backend)) {
      limits = probe.measure();
      double[] empty = new double[MAX_LAUNCHES];
      for (int i = 0; i < empty.length; i++) empty[i] = timer.seconds(() -> {});
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("kind", "limits");
      line.put("copyBytesPerSecond", limits.readBytesPerSecond());
      line.put("f32OperationsPerSecond", limits.f32OperationsPerSecond());
      line.put("bf16OperationsPerSecond", limits.bf16OperationsPerSecond());
      line.put("secondsOfNothing", median(empty));
      lines.add(line);
      return backend.device().name().startsWith("gpusim");
    }
  }

  private void all(String size, List<Supplier<KernelCase>> cases) {
    for (Supplier<KernelCase> opener : cases) {
      try (KernelCase one = opener.get()) {
        lines.add(measured(size, one));
      }
    }
  }

  private Map<String, Object> measured(String size, KernelCase one) {
    one.run(); // loads the kernel, takes working memory
    one.await();
    double[] seconds = new double[MAX_LAUNCHES];
    int launches = 0;
    try (DeviceLimits caches = new DeviceLimits(one.backend);
        DeviceTimer timer = new DeviceTimer(one.backend)) {
      long begin = System.nanoTime();
      do {
        caches.flushCaches();
        seconds[launches++] = timer.seconds(one::run);
      } while (launches < MAX_LAUNCHES && (System.nanoTime() - begin) / 1e9 < MAX_SECONDS);
    }
    double median = median(Arrays.copyOf(seconds, launches));
    Work work = one.work();
    double readSeconds = limits.readSeconds(work);
    double computeSeconds =
        work.operations()
            / (one.onTensorCores()
                ? limits.bf16OperationsPerSecond()
                : limits.f32OperationsPerSecond());
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("kind", "kernel");
    line.put("size", size);
    line.put("kernel", one.kernels);
    line.put("case", one.what);
    line.put("seconds", median);
    line.put("launches", launches);
    line.put("bytes", work.bytes());
    line.put("operations", work.operations());
    line.put("share", Math.max(readSeconds, computeSeconds) / median);
    line.put(
        "of",
        readSeconds >= computeSeconds
            ? "copy bandwidth"
            : one.onTensorCores() ? "MMA rate" : "f32 rate");
    return line;
  }

  private static double median(double[] values) {
    Arrays.sort(values);
    return values[values.length / 2];
  }
}
