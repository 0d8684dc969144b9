package org.winnow.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.layer.Linear;
import org.winnow.memory.DiskProbe;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.moe.Experts;
import org.winnow.moe.MoeLayer;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * Reading experts, computing with them, and both at once, each round beside a probe of the same
 * disk. Four layers of 32 experts in the shape of Qwen3-30B-A3B, top-8, bf16; 1.2 GB. Prints every
 * round and the medians; times are wall times, so a busy machine shows.
 *
 * <ul>
 *   <li>cold: all experts read into slots that are in use, and into a new cache, as a share of a
 *       probe that reads into memory in use, and into new memory
 *   <li>prefill: 512 tokens at 25 % of the budget, over (reading the needed experts once +
 *       computing)
 *   <li>overlap: max(read, compute) over the time with read-ahead of the true next experts
 * </ul>
 */
public final class ExpertStreaming {
  private static final int NUM_LAYERS = 4;
  private static final int NUM_EXPERTS = 32;
  private static final int TOP_K = 8;
  private static final int READS_IN_FLIGHT = 4; // three readers and the thread that waits

  private final Backend backend;
  private final ExpertFile file;
  private final Linear[] routers = new Linear[NUM_LAYERS];

  private ExpertStreaming(Backend backend, ExpertFile file) {
    this.backend = backend;
    this.file = file;
    Random random = new Random(2);
    for (int i = 0; i < NUM_LAYERS; i++) routers[i] = new Linear(normal(random, NUM_EXPERTS), null);
  }

  public static void main(String[] args) throws IOException {
    Usage usage = new Usage("ExpertStreaming [ROUNDS [cold|prefill|overlap]]");
    usage.require(args.length <= 2);
    int numRounds = usage.count(args, 0, 5);
    String part = usage.word(args, 1, "all", "cold", "prefill", "overlap");
    try (Backend backend = new CpuBackend();
        ExpertFile file = new ExpertFile(backend, NUM_LAYERS, NUM_EXPERTS)) {
      ExpertStreaming streaming = new ExpertStreaming(backend, file);
      if (part.equals("all") || part.equals("cold")) streaming.cold(numRounds);
      if (part.equals("all") || part.equals("prefill")) streaming.prefill(numRounds);
      if (part.equals("all") || part.equals("overlap"))
        for (int numTokens : new int[] {8, 32, 128}) streaming.overlap(numRounds, numTokens);
    }
  }

  private void cold(int numRounds) throws IOException {
    double[] fresh = new double[numRounds];
    double[] steady = new double[numRounds];
    long half = file.store.fullBudgetBytes() / 2;
    for (int round = 0; round < numRounds; round++) {
      double probe = 0; // the best of one read in flight and of as many as the cache has
      for (int numThreads : new int[] {1, READS_IN_FLIGHT}) {
        probe =
            Math.max(
                probe, DiskProbe.read(file.path, Long.MAX_VALUE, numThreads).gigabytesPerSecond());
      }
      // Memory that a virtual machine uses for the first time is slower than any disk, and which
      // is depends on what ran before: so first touched, then in turns.
      double freshProbe = round % 2 == 0 ? probeNewMemory(half) : 0;
      touchMemory(half);
      try (ExpertCache cache = cache(50)) {
        double first = readLayers(cache, 0, 2); // slots whose pages the kernel has yet to provide
        double second = readLayers(cache, 2, 4);
        if (round % 2 == 1) freshProbe = probeNewMemory(half);
        System.out.printf(
            Locale.ROOT,
            "cold: probe %.2f GB/s, slots in use %.2f; probe of new memory %.2f, new cache %.2f%n",
            probe,
            second,
            freshProbe,
            first);
        fresh[round] = first / freshProbe;
        steady[round] = second / probe;
      }
    }
    System.out.printf(
        Locale.ROOT,
        "cold, share of the probe, median: slots in use %.2f, new cache %.2f%n",
        median(steady),
        median(fresh));
  }

  private double probeNewMemory(long sizeBytes) throws IOException {
    touchMemory(sizeBytes);
    return DiskProbe.readIntoNewMemory(file.path, sizeBytes, READS_IN_FLIGHT).gigabytesPerSecond();
  }

  private static void touchMemory(long sizeBytes) {
    try (Tensor memory = Tensor.allocate(DType.I8, sizeBytes)) {
      ByteBuffer bytes = memory.asByteBuffer();
      for (int i = 0; i < bytes.capacity(); i += 4096) bytes.put(i, (byte) 1);
    }
  }

  private double readLayers(ExpertCache cache, int begin, int end) {
    long before = cache.counters().demandBytesRead();
    long start = System.nanoTime();
    for (int layer = begin; layer < end; layer++) readOnce(cache.layer(layer));
    return (cache.counters().demandBytesRead() - before) / (double) (System.nanoTime() - start);
  }

  private static void readOnce(Experts experts) {
    int[] ids = IntStream.range(0, NUM_EXPERTS).toArray();
    experts.acquire(ids, ids.length);
    experts.release();
  }

  private void prefill(int numRounds) {
    double[] ratios = new double[numRounds];
    try (Tensor hidden = normal(new Random(3), 512);
        Tensor output = Tensor.f32(512, ExpertFile.HIDDEN_SIZE);
        Model all = new Model(cache(100));
        Model quarter = new Model(cache(25))) {
      all.forward(hidden, output, null);
      float[] expected = output.toFloatArray();
      quarter.forward(hidden, output, null);
      for (int round = 0; round < numRounds; round++) {
        long before = quarter.cache.counters().misses();
        long start = System.nanoTime();
        for (int layer = 0; layer < NUM_LAYERS; layer++) readOnce(quarter.cache.layer(layer));
        double read = (System.nanoTime() - start) * 1e-9;
        double compute = all.forward(hidden, output, null);
        double both = quarter.forward(hidden, output, null);
        if (!Arrays.equals(expected, output.toFloatArray()))
          throw new AssertionError("the budget changed the output");
        if (quarter.cache.counters().misses() - before != 2 * NUM_LAYERS * NUM_EXPERTS)
          throw new AssertionError("some were resident, or not needed");
        ratios[round] = both / (read + compute);
        System.out.printf(
            Locale.ROOT,
            "prefill 512: read %.3f s, compute %.3f, 25 %% budget %.3f: ratio %.2f%n",
            read,
            compute,
            both,
            ratios[round]);
      }
    }
    System.out.printf(
        Locale.ROOT, "prefill over (read once + compute), median: %.2f%n", median(ratios));
  }

  /**
   * Passes as if without end: the first layer of each is read ahead while the last of the one
   * before computes, and its reads count for the one before. So each reads all layers and computes
   * all layers, and nothing is left to fill or drain.
   */
  private void overlap(int numRounds, int numTokens) {
    double[] shares = new double[numRounds];
    try (Tensor hidden = normal(new Random(3), numTokens);
        Tensor output = Tensor.f32(numTokens, ExpertFile.HIDDEN_SIZE);
        Model all = new Model(cache(100));
        Model half = new Model(cache(50))) {
      all.forward(hidden, output, null);
      float[] expected = output.toFloatArray();
      int[][] chosen = all.chosen(hidden);
      half.forward(hidden, output, chosen);
      Experts first = half.cache.layer(0);
      for (int round = 0; round < numRounds; round++) {
        double compute = 0;
        double read = 0;
        double both = 0;
        double computeCpu = 0;
        double bothCpu = 0;
        for (int pass = 0;
            pass < 3;
            pass++) { // interleaved: what else the machine does meets all three
          long cpuBefore = processCpuNanos();
          compute += all.forward(hidden, output, null);
          long cpuBetween = processCpuNanos();
          both += half.forward(hidden, output, chosen);
          long start = System.nanoTime(); // what was read ahead for the next pass, to its end
          first.acquire(chosen[0], chosen[0].length);
          first.release();
          both += (System.nanoTime() - start) * 1e-9;
          computeCpu += (cpuBetween - cpuBefore) * 1e-9;
          bothCpu += (processCpuNanos() - cpuBetween) * 1e-9;
          if (!Arrays.equals(expected, output.toFloatArray()))
            throw new AssertionError("read-ahead changed the output");
          read += readChosen(half.cache, chosen);
          first.hint(chosen[0], chosen[0].length);
          first.acquire(chosen[0], chosen[0].length);
          first.release();
        }
        shares[round] = Math.max(read, compute) / both;
        System.out.printf(
            Locale.ROOT,
            "overlap %d tokens: read %.3f s, compute %.3f (%.3f of CPU), both %.3f (%.3f of CPU): %.2f%n",
            numTokens,
            read,
            compute,
            computeCpu,
            both,
            bothCpu,
            shares[round]);
      }
    }
    System.out.printf(
        Locale.ROOT,
        "overlap %d tokens, max(read, compute) over both, median: %.2f%n",
        numTokens,
        median(shares));
  }

  /**
   * Reads all layers' chosen experts, beginning with the second: with room for two layers none of
   * them is resident. Seconds.
   */
  private static double readChosen(ExpertCache cache, int[][] chosen) {
    long before = cache.counters().misses();
    long start = System.nanoTime();
    for (int i = 1; i <= NUM_LAYERS; i++) {
      int layer = i % NUM_LAYERS;
      cache.layer(layer).acquire(chosen[layer], chosen[layer].length);
      cache.layer(layer).release();
    }
    double seconds = (System.nanoTime() - start) * 1e-9;
    if (cache.counters().misses() - before
        != Arrays.stream(chosen).mapToInt(ids -> ids.length).sum())
      throw new AssertionError("some were resident");
    return seconds;
  }

  /** A cache and the layers over it, which keep their workspaces. */
  private final class Model implements AutoCloseable {
    final ExpertCache cache;
    final MoeLayer[] layers = new MoeLayer[NUM_LAYERS];

    Model(ExpertCache cache) {
      this.cache = cache;
      for (int i = 0; i < NUM_LAYERS; i++)
        layers[i] =
            MoeLayer.builder(routers[i], TopKRouter.softmax(TOP_K).build(), cache.layer(i)).build();
    }

    /**
     * All layers over the same hidden state; with the layers' true choices, each is read ahead
     * while the one before computes. Seconds.
     */
    double forward(Tensor hidden, Tensor output, int[][] chosen) {
      long start = System.nanoTime();
      for (int i = 0; i < NUM_LAYERS; i++) {
        int next = (i + 1) % NUM_LAYERS;
        if (chosen != null) cache.layer(next).hint(chosen[next], chosen[next].length);
        layers[i].forward(backend, hidden, output);
      }
      return (System.nanoTime() - start) * 1e-9;
    }

    int[][] chosen(Tensor hidden) {
      int[][] chosen = new int[NUM_LAYERS][];
      try (Routing routing = new Routing()) {
        for (int i = 0; i < NUM_LAYERS; i++) {
          layers[i].route(backend, hidden, routing);
          int[] ids = new int[NUM_EXPERTS];
          int count = routing.distinctExperts(ids);
          chosen[i] = Arrays.copyOf(ids, count);
          Arrays.sort(chosen[i]);
        }
      }
      return chosen;
    }

    @Override
    public void close() {
      for (MoeLayer layer : layers) layer.close();
      cache.close();
    }
  }

  private static long processCpuNanos() {
    return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
        .getProcessCpuTime();
  }

  /**
   * @param percent of what all experts take
   */
  private ExpertCache cache(int percent) {
    return new ExpertCache(
        file.store, file.store.fullBudgetBytes() * percent / 100, EvictionPolicy.lru());
  }

  private static Tensor normal(Random random, int rows) {
    float[] values = new float[rows * ExpertFile.HIDDEN_SIZE];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    return Tensor.of(values, rows, ExpertFile.HIDDEN_SIZE);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
