package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.op.TopKRouter;

/**
 * 4.8 GB of experts on a budget of 10 %, in a JVM of its own: the peak of its memory, load
 * included, and that the budget does not change a bit.
 */
@Tag("slow")
class PeakMemoryTest {
  private static final long MIB = 1 << 20;

  @TempDir Path folder;

  @Test
  void peaksAtBudgetPlusWhatIsNotExperts() throws Exception {
    Path file = folder.resolve("experts");
    LargeExperts.write(file);
    assertThat(Files.size(file)).isGreaterThan(4L << 30);
    Map<String, String> small = run(file, 10);
    Map<String, String> large = run(file, 25);
    long fullBytes = Long.parseLong(small.get("fullBudgetBytes"));
    long routerBytes =
        (long) LargeExperts.NUM_LAYERS
            * LargeExperts.NUM_EXPERTS
            * LargeExperts.HIDDEN_SIZE
            * Float.BYTES;
    long peakBytes = Long.parseLong(small.get("peakBytes"));
    assertThat(peakBytes).isLessThanOrEqualTo(routerBytes + fullBytes / 10 + 256 * MIB);
    assertThat(Long.parseLong(large.get("peakBytes")))
        .isLessThanOrEqualTo(routerBytes + fullBytes / 4 + 256 * MIB);
    assertThat(peakBytes)
        .isGreaterThan(fullBytes / 10 * 9 / 10); // the budget is in use, so the figure can be wrong
    assertThat(Long.parseLong(small.get("bytesRead"))).isGreaterThan(2 * peakBytes);
    assertThat(small.get("output")).isEqualTo(large.get("output"));
  }

  private static Map<String, String> run(Path file, int percent)
      throws IOException, InterruptedException {
    String classPath =
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
    Process process =
        new ProcessBuilder(
                List.of(
                    Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                    "--enable-native-access=ALL-UNNAMED",
                    "-cp",
                    classPath,
                    PeakMemoryTest.class.getName(),
                    file.toString(),
                    Integer.toString(percent)))
            .redirectErrorStream(true)
            .start();
    List<String> lines = process.inputReader().lines().toList();
    assertThat(process.waitFor(120, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(String.join("\n", lines)).isZero();
    Map<String, String> values = new HashMap<>();
    for (String line : lines) {
      int equals = line.indexOf('=');
      if (equals > 0) values.put(line.substring(0, equals), line.substring(equals + 1));
    }
    return values;
  }

  /** The JVM of its own: a prompt of 32 tokens and 4 single tokens through all layers. */
  public static void main(String[] args) throws IOException {
    int percent = Integer.parseInt(args[1]);
    Random random = new Random(1);
    try (Backend backend = new CpuBackend();
        Checkpoint checkpoint = new Checkpoint(LargeExperts.tensors(Path.of(args[0])))) {
      ExpertStore store = LargeExperts.store(checkpoint);
      System.out.println("fullBudgetBytes=" + store.fullBudgetBytes());
      int hash = 1;
      try (ExpertCache cache =
          new ExpertCache(store, store.fullBudgetBytes() * percent / 100, EvictionPolicy.lfru())) {
        MoeLayer[] layers = new MoeLayer[LargeExperts.NUM_LAYERS];
        for (int i = 0; i < layers.length; i++) {
          Linear router = new Linear(normal(random, LargeExperts.NUM_EXPERTS), null);
          layers[i] =
              MoeLayer.builder(
                      router, TopKRouter.softmax(LargeExperts.TOP_K).build(), cache.layer(i))
                  .build();
        }
        for (int numTokens : new int[] {32, 1, 1, 1, 1}) {
          try (Tensor hidden = normal(random, numTokens);
              Tensor output = Tensor.f32(numTokens, LargeExperts.HIDDEN_SIZE)) {
            for (MoeLayer layer : layers) {
              layer.forward(backend, hidden, output);
              hash = 31 * hash + Arrays.hashCode(output.toFloatArray());
            }
          }
        }
        for (MoeLayer layer : layers) layer.close();
        System.out.println("bytesRead=" + cache.counters().demandBytesRead());
      }
      System.out.println("output=" + hash);
    }
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:"))
        System.out.println("peakBytes=" + 1024 * Long.parseLong(line.replaceAll("[^0-9]", "")));
    }
  }

  private static Tensor normal(Random random, int rows) {
    float[] values = new float[rows * LargeExperts.HIDDEN_SIZE];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    return Tensor.of(values, rows, LargeExperts.HIDDEN_SIZE);
  }
}
