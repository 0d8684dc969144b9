package org.winnow.bench;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.internal.AddressTable;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.RangeReader;
import org.winnow.moe.Experts;
import org.winnow.op.ExpertMatrices;

/**
 * What the expert cache costs: eight experts that are resident, eight that are not, and as a
 * baseline the same bytes read by nobody but the disk, in one thread, into memory that is there
 * already. Experts of 9.4 MB; no computation. {@link ExpertStreaming} relates reading to computing.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 1, jvmArgsAppend = "--enable-native-access=ALL-UNNAMED")
public class ExpertCacheBenchmark {
  private static final int NUM_EXPERTS = 64;
  private static final int TOP_K = 8;

  private ExpertFile file;
  private ExpertCache large;
  private ExpertCache small;
  private RangeReader reader;
  private Tensor buffer;
  private final int[] resident = {3, 7, 11, 19, 20, 41, 57, 63};
  private final int[] absent = new int[TOP_K];
  private final Tensor[] buffers = new Tensor[TOP_K];
  private int next;

  @Setup
  public void setup() throws IOException {
    try (Backend backend = new CpuBackend()) {
      file = new ExpertFile(backend, 1, NUM_EXPERTS);
    }
    large = new ExpertCache(file.store, file.store.fullBudgetBytes(), EvictionPolicy.lfru());
    small = new ExpertCache(file.store, 2 * TOP_K * file.store.slotBytes(), EvictionPolicy.lru());
    reader = RangeReader.direct().open(file.path);
    buffer = Tensor.allocate(DType.I8, TOP_K, file.store.readBytes(0, 0));
    for (int i = 0; i < TOP_K; i++) buffers[i] = buffer.slice(i, i + 1L);
    acquireResident();
    for (int i = 0; i < NUM_EXPERTS / TOP_K; i++) acquireAbsent();
    if (large.counters().misses() != TOP_K || small.counters().misses() != NUM_EXPERTS)
      throw new AssertionError("absent experts were not read");
    checkContents(large.layer(0), resident);
  }

  private void checkContents(Experts experts, int[] ids) {
    experts.acquire(ids, ids.length);
    for (int id : ids) {
      float gate = firstElement(experts.gateUp(), id, 0);
      float up = firstElement(experts.gateUp(), id, 1);
      float down = firstElement(experts.down(), id, 0);
      if (down != file.firstElement(0, id, 0)
          || gate != file.firstElement(0, id, 1)
          || up != file.firstElement(0, id, 2)) {
        throw new AssertionError("expert " + id + " holds another's weights");
      }
    }
    experts.release();
  }

  private static float firstElement(ExpertMatrices matrices, int id, int plane) {
    long address = AddressTable.of(matrices).get(id, plane);
    try (Tensor matrix = Tensor.wrap(address, DType.BF16, 1)) {
      return matrix.getFloat(0);
    }
  }

  @Benchmark
  public void acquireResident() {
    large.layer(0).acquire(resident, TOP_K);
    large.layer(0).release();
  }

  @Benchmark
  public void acquireAbsent() {
    for (int i = 0; i < TOP_K; i++) absent[i] = next + i;
    next = (next + TOP_K) % NUM_EXPERTS; // comes again after 64 experts, of which 16 fit
    small.layer(0).acquire(absent, TOP_K);
    small.layer(0).release();
  }

  @Benchmark
  public long baselineReadOfTheSameBytes() throws IOException {
    long expertBytes = file.store.readBytes(0, 0);
    long begin = next * expertBytes;
    next = (next + TOP_K) % (NUM_EXPERTS - TOP_K);
    long found = 0;
    for (int i = 0; i < TOP_K; i++) found += reader.read(begin + i * expertBytes, buffers[i]);
    return found;
  }

  @TearDown
  public void tearDown() throws IOException {
    large.close();
    small.close();
    reader.close();
    buffer.close();
    file.close();
  }
}
