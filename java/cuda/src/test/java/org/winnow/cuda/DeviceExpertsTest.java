package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.WeightFormat;
import org.winnow.internal.AddressTable;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.ExpertCounters;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.FaultyReaders;
import org.winnow.memory.SyntheticExperts;
import org.winnow.op.DeviceTables;
import org.winnow.op.ExpertMatrices;

/** A cache of experts on a device, used by several threads. */
class DeviceExpertsTest {
  private static final int[] BOTH = {0, 1};

  @TempDir Path directory;

  /**
   * A thread that releases experts waits for the step. The step must not wait for the cache at that
   * time.
   */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void expertsAreReleasedWhileAStepIsCaptured() throws Exception {
    var file = experts();
    try (var backend = new CudaBackend();
        Checkpoint checkpoint = new Checkpoint(file.tensors())) {
      ExpertStore store = file.store(checkpoint);
      long budgetBytes = store.fullBudgetBytes(backend.memory());
      try (var cache =
          new ExpertCache(store, backend.memory(), budgetBytes, EvictionPolicy.lru())) {
        for (int layer = 0; layer < 2; layer++) {
          cache.layer(layer).acquire(BOTH, BOTH.length);
          cache.layer(layer).release();
        }
        cache.layer(0).acquireAll();
        CountDownLatch held = new CountDownLatch(1);
        CountDownLatch capturing = new CountDownLatch(1);
        AtomicBoolean releasing = new AtomicBoolean();
        Thread other =
            new Thread(
                () -> {
                  cache.layer(1).acquire(BOTH, BOTH.length);
                  held.countDown();
                  await(capturing);
                  releasing.set(true);
                  cache.layer(1).release();
                });
        other.start();
        await(held);
        backend
            .capture(
                () -> {
                  capturing.countDown();
                  while (!releasing.get() || other.getState() != Thread.State.WAITING)
                    Thread.yield();
                  assertThat(cache.layer(0).isAlwaysResident()).isTrue();
                  cache.layer(0).acquireAll();
                  cache.layer(0).release();
                  assertThat(cache.layer(1).isResident(0)).isTrue(); // takes the cache's lock
                })
            .close();
        other.join();
        cache.layer(1).acquire(BOTH, BOTH.length);
        cache.layer(1).release();
      }
    }
  }

  /** One thread is issuing an operation on them, another hands them over before it captures one. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void twoThreadsHandOverTheSameTables() throws Exception {
    try (var backend = new CudaBackend();
        var weights =
            new ExpertMatrices(backend.memory(), WeightFormat.BF16, 1, 8, 8, false, false)) {
      AddressTable.of(weights).put(new int[] {0}, 1, new long[] {4096, 0, 0, 0});
      Thread other = new Thread(weights::handOver);
      try (var entry = backend.context().enter("a test")) {
        other.start();
        while (other.getState() != Thread.State.WAITING) Thread.yield();
        assertThat(DeviceTables.firstWeight(weights)).isEqualTo(4096);
      }
      other.join();
    }
  }

  /** Page-locked memory that a reader fills is not taken away from it. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void closingTheBackendWaitsForReads() throws Exception {
    var file = experts();
    var readers = new FaultyReaders();
    CountDownLatch reading = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    readers.beforeRead(
        () -> {
          reading.countDown();
          await(goOn);
        });
    var backend = new CudaBackend();
    try (Checkpoint checkpoint = new Checkpoint(file.tensors(), readers)) {
      ExpertStore store = file.store(checkpoint);
      long budgetBytes = store.fullBudgetBytes(backend.memory());
      try (var cache =
          new ExpertCache(store, backend.memory(), budgetBytes, EvictionPolicy.lru())) {
        Throwable[] failure = new Throwable[1];
        Thread user = new Thread(() -> cache.layer(0).acquire(BOTH, BOTH.length));
        user.setUncaughtExceptionHandler((thread, e) -> failure[0] = e);
        user.start();
        await(reading);
        Thread closer = new Thread(backend::close);
        closer.start();
        closer.join(300);
        assertThat(closer.isAlive()).isTrue();
        goOn.countDown();
        closer.join();
        user.join();
        if (failure[0] != null) // else its copies came before the backend was closed
        assertThat(failure[0])
              .isInstanceOf(IllegalStateException.class)
              .hasMessage("backend cuda:0 is closed");
        assertThatThrownBy(() -> cache.layer(1).acquire(BOTH, BOTH.length))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("backend cuda:0 is closed");
      }
    }
  }

  /** Two of four experts fit: what is read ahead is of use once, and makes room for others once. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void everyExpertThatIsReadAheadIsCopiedOnceAndNothingElse() throws Exception {
    assumeTrue(GpuSim.isLoaded(), GpuSim::cause); // only there are bytes counted
    var file = experts();
    long expertBytes = 3L * file.hiddenSize * file.intermediateSize * Float.BYTES;
    long before = GpuSim.bytesCopiedToDevice();
    ExpertCounters counters;
    try (var backend = new CudaBackend();
        Checkpoint checkpoint = new Checkpoint(file.tensors(), new FaultyReaders())) {
      ExpertStore store = file.store(checkpoint);
      assertThat(store.readBytes(0, 0)).isEqualTo(expertBytes);
      try (var cache =
          new ExpertCache(store, backend.memory(), 2 * expertBytes, EvictionPolicy.lru())) {
        acquireAndHint(cache, 0, 0, 1, 0);
        assertThat(cache.layer(1).isResident(0)).isTrue();
        acquireAndHint(cache, 1, 0, 0, 1);
        cache.layer(0).acquire(new int[] {0}, 1);
        cache.layer(0).release();
        cache.layer(1).acquire(BOTH, BOTH.length);
        cache.layer(1).release();
        counters = cache.counters();
      }
    } // nothing is on its way any more
    assertThat(counters.readAheadUsefulBytes()).isEqualTo(expertBytes);
    assertThat(counters.readAheadWastedBytes()).isEqualTo(expertBytes);
    assertThat(counters.readAheadPendingBytes()).isZero();
    assertThat(GpuSim.bytesCopiedToDevice() - before)
        .isEqualTo((counters.misses() + 2) * expertBytes);
  }

  /** Has an expert, and meanwhile another read ahead. */
  private static void acquireAndHint(
      ExpertCache cache, int layer, int expert, int nextLayer, int nextExpert) {
    cache.layer(layer).acquire(new int[] {expert}, 1);
    cache.layer(nextLayer).hint(new int[] {nextExpert}, 1);
    while (cache.counters().readAheadPendingBytes() == 0) Thread.yield();
    cache.layer(layer).release();
  }

  private SyntheticExperts experts() throws IOException {
    return new SyntheticExperts(
        directory.resolve("experts"),
        SyntheticExperts.Layout.SEPARATE,
        DType.F32,
        2,
        BOTH.length,
        8,
        8,
        0);
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
