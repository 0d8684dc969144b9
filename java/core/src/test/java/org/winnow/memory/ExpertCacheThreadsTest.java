package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.memory.SyntheticExperts.Layout;
import org.winnow.moe.Experts;

/** Threads that meet, are interrupted, end, and close in the middle of it. */
@Timeout(
    value = 60,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // who waits for experts cannot be interrupted
class ExpertCacheThreadsTest {
  @TempDir Path folder;
  private final ExecutorService threads = Executors.newFixedThreadPool(3);
  private final FaultyReaders readers = new FaultyReaders();

  @AfterEach
  void stopThreads() throws InterruptedException {
    threads.shutdown();
    assertThat(threads.awaitTermination(30, TimeUnit.SECONDS)).isTrue();
  }

  private SyntheticExperts synthetic(Layout layout) throws IOException {
    return new SyntheticExperts(folder.resolve("weights"), layout, DType.BF16, 2, 8, 16, 24, 8);
  }

  @Test
  void whatAThreadHeldWhenItEndedIsReleased() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      ExpertCache cache = new ExpertCache(store, 2 * store.slotBytes(), EvictionPolicy.lru());
      endHolding(cache.layer(0), 1, 4);
      assertThat(cache.numPinned()).isEqualTo(2);
      cache.layer(0).acquire(new int[] {4, 5}, 2); // the same layer
      assertThat(cache.counters().hits()).isEqualTo(1);
      assertThat(cache.layer(0).gateUp().isResident(1)).isFalse();
      ExpertContents.assertRight(experts, cache.layer(0), 0, 4);
      ExpertContents.assertRight(experts, cache.layer(0), 0, 5);
      cache.layer(0).release();
      endHolding(cache.layer(0), 0, 2);
      cache.layer(1).acquire(new int[] {3, 7}, 2); // another layer, all of its room
      ExpertContents.assertRight(experts, cache.layer(1), 1, 7);
      cache.layer(1).release();
      assertThat(cache.numPinned()).isZero();
      endHolding(cache.layer(1), 3, 4);
      cache.close();
      assertThat(cache.numPinned()).isZero();
    }
  }

  private static void endHolding(Experts layer, int... ids) throws InterruptedException {
    Thread thread = new Thread(() -> layer.acquire(ids, ids.length));
    thread.start();
    thread.join();
  }

  @Test
  void aChosenExpertThatIsBeingReadAheadIsWaitedForAndReadAgainIfThatFails() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        for (boolean fails : new boolean[] {false, true}) {
          int id = fails ? 5 : 3;
          CountDownLatch begun = new CountDownLatch(1);
          CountDownLatch mayGoOn = new CountDownLatch(1);
          readers.beforeRead(
              () -> {
                begun.countDown();
                awaitQuietly(mayGoOn);
              });
          if (fails) readers.poison(experts, "layers.1.5.");
          cache.layer(1).hint(new int[] {id}, 1);
          begun.await();
          Future<?> acquire =
              threads.submit(
                  () -> {
                    cache.layer(1).acquire(new int[] {id}, 1);
                    ExpertContents.assertRight(experts, cache.layer(1), 1, id);
                    cache.layer(1).release();
                  });
          Thread.sleep(20);
          assertThat(acquire.isDone()).isFalse();
          readers.beforeRead(readers::heal); // the second read is right
          mayGoOn.countDown();
          acquire.get();
        }
        ExpertCounters counters = cache.counters();
        assertThat(counters.hits()).isEqualTo(1);
        assertThat(counters.misses()).isEqualTo(1);
        assertThat(counters.failedReads()).isEqualTo(1);
        assertThat(counters.readAheadUsefulBytes()).isEqualTo(store.readBytes(1, 3));
        assertThat(counters.demandBytesRead()).isEqualTo(store.readBytes(1, 5));
      }
    }
  }

  @Test
  void anExpertWhoseReadFailedMayBeHintedAtBeforeTheCallerLearnsOfIt() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 2 * store.slotBytes(), EvictionPolicy.lru())) {
        CountDownLatch mayGoOn = new CountDownLatch(1);
        readers.beforeRead(
            () -> { // the caller reads the first of its experts itself
              if (!Thread.currentThread().getName().startsWith("winnow")) awaitQuietly(mayGoOn);
            });
        readers.poison(experts, "layers.0.4.");
        Future<?> acquire = threads.submit(() -> cache.layer(0).acquire(new int[] {3, 4}, 2));
        await(() -> cache.counters().failedReads() == 1);
        readers.heal();
        cache.layer(0).hint(new int[] {4}, 1);
        await(() -> cache.counters().readAheadPendingBytes() > 0);
        mayGoOn.countDown();
        assertThatThrownBy(acquire::get).hasCauseInstanceOf(ExpertReadException.class);
        cache.layer(0).acquire(new int[] {4, 5}, 2); // held by nobody
        cache.layer(0).release();
        cache.layer(1).acquire(new int[] {0, 1}, 2);
        ExpertContents.assertRight(experts, cache.layer(1), 1, 1);
        cache.layer(1).release();
      }
    }
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void await(BooleanSupplier condition) throws InterruptedException {
    while (!condition.getAsBoolean()) Thread.sleep(1);
  }

  @Test
  void anInterruptNeitherStopsNorIsLost() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        Thread.currentThread().interrupt();
        for (int round = 0; round < 50; round++) {
          int[] ids = {round % 5, round % 5 + 1, round % 5 + 3};
          cache.layer(round % 2).acquire(ids, 3);
          cache.layer(round % 2).release();
        }
        assertThat(Thread.interrupted()).isTrue();
        assertThat(cache.counters().failedReads()).isZero();
      }
    }
  }

  @Test
  void closeWaitsForHoldersAndEndsThoseWhoWait() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      ExpertCache cache = new ExpertCache(store, 2 * store.slotBytes(), EvictionPolicy.lru());
      AtomicBoolean aboutToRelease = new AtomicBoolean();
      CountDownLatch reading = new CountDownLatch(1);
      CountDownLatch mayGoOn = new CountDownLatch(1);
      readers.beforeRead(
          () -> {
            reading.countDown();
            awaitQuietly(mayGoOn);
          });
      Future<?> holder =
          threads.submit(
              () -> {
                cache.layer(0).acquire(new int[] {0, 1}, 2);
                Thread.sleep(50);
                ExpertContents.assertRight(experts, cache.layer(0), 0, 1); // memory is still there
                aboutToRelease.set(true);
                cache.layer(0).release();
                return null;
              });
      reading.await();
      Future<?> waiter = threads.submit(() -> cache.layer(1).acquire(new int[] {2}, 1)); // no room
      Thread.sleep(20);
      Future<?> closer = threads.submit(cache::close);
      assertThatThrownBy(waiter::get)
          .isInstanceOf(ExecutionException.class)
          .hasRootCauseInstanceOf(IllegalStateException.class)
          .hasRootCauseMessage("expert cache is closed");
      Thread.sleep(20);
      assertThat(closer.isDone()).isFalse();
      mayGoOn.countDown();
      cache.close();
      assertThat(aboutToRelease).isTrue();
      holder.get();
      closer.get();
      cache.close();
      assertThatThrownBy(() -> cache.layer(0).acquire(new int[] {0}, 1))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("expert cache is closed");
      assertThatThrownBy(() -> cache.layer(0).hint(new int[] {0}, 1))
          .isInstanceOf(IllegalStateException.class);
      assertThatThrownBy(() -> cache.layer(0).isResident(0))
          .isInstanceOf(IllegalStateException.class);
      assertThat(cache.counters().misses()).isEqualTo(2);
    }
  }

  @Test
  void manyThreadsAlwaysSeeTheRightContents() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    Random seeds = new Random(11);
    for (int round = 0; round < 12; round++) {
      boolean faulty = round % 3 == 2;
      EvictionPolicy policy =
          new EvictionPolicy[] {EvictionPolicy.lru(), EvictionPolicy.lfu(), EvictionPolicy.lfru()}
              [round % 3];
      try (Checkpoint checkpoint =
          new Checkpoint(experts.tensors(), round % 2 == 0 ? RangeReader.direct() : readers)) {
        ExpertStore store = experts.store(checkpoint);
        int numSlots = 1 + seeds.nextInt(10);
        try (ExpertCache cache = new ExpertCache(store, numSlots * store.slotBytes(), policy)) {
          if (faulty) readers.poison(experts, "layers.0.4.");
          Future<?>[] running = new Future<?>[3];
          for (int i = 0; i < running.length; i++) {
            long seed = seeds.nextLong();
            running[i] =
                threads.submit(
                    () -> {
                      Random random = new Random(seed);
                      for (int step = 0; step < 150; step++) useSomeExperts(experts, cache, random);
                    });
          }
          for (Future<?> one : running) one.get();
          readers.heal();
          ExpertCounters counters = cache.counters();
          assertThat(counters.peakResidentBytes()).isLessThanOrEqualTo(cache.budgetBytes());
          assertThat(cache.numPinned()).isZero();
          assertThat(counters.demandBytesRead()).isGreaterThan(0);
        }
      }
    }
  }

  private static void useSomeExperts(SyntheticExperts experts, ExpertCache cache, Random random) {
    int layerIndex = random.nextInt(2);
    Experts layer = cache.layer(layerIndex);
    int[] ids =
        IntStream.range(0, 8)
            .filter(id -> random.nextInt(3) == 0)
            .limit(layer.maxPinned())
            .toArray();
    int[] hinted = random.ints(random.nextInt(4), 0, 8).toArray();
    if (random.nextBoolean()) cache.layer(random.nextInt(2)).hint(hinted, hinted.length);
    try {
      layer.acquire(ids, ids.length);
    } catch (ExpertReadException e) {
      assertThat(e.what()).startsWith("layer 0, expert 4: layers.0.4.");
      assertThat(Arrays.stream(ids)).contains(4);
      return;
    }
    try {
      if (random.nextBoolean()) cache.layer(1 - layerIndex).hint(hinted, hinted.length);
      for (int id : ids) ExpertContents.assertRight(experts, layer, layerIndex, id);
    } finally {
      layer.release();
    }
  }
}
