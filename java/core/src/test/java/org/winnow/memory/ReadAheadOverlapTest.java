package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;

/**
 * Reading ahead runs beside computing, shown by the order of events, so that a busy machine does
 * not matter. How long it takes, ExpertStreaming among the benchmarks measures.
 */
@Timeout(
    value = 60,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // who waits for experts cannot be interrupted
class ReadAheadOverlapTest {
  private static final int NUM_LAYERS = 6;
  private static final int NUM_EXPERTS = 9;
  private static final int NUM_READERS = 3;
  private static final int[] ALL = IntStream.range(0, NUM_EXPERTS).toArray();

  @TempDir Path folder;
  private final FaultyReaders readers = new FaultyReaders();
  private SyntheticExperts experts;

  @BeforeEach
  void write() throws IOException {
    experts =
        new SyntheticExperts(
            folder.resolve("weights"),
            SyntheticExperts.Layout.SEPARATE,
            DType.BF16,
            NUM_LAYERS,
            NUM_EXPERTS,
            8,
            8,
            0);
  }

  @Test
  void whatIsHintedAtIsReadWhileOtherExpertsAreHeld() throws Exception {
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers);
        ExpertCache cache = cache(checkpoint, 2 * NUM_EXPERTS)) {
      for (int layer = 0; layer < NUM_LAYERS; layer++) {
        cache.layer(layer).acquire(ALL, NUM_EXPERTS);
        if (layer + 1 < NUM_LAYERS) {
          cache.layer(layer + 1).hint(ALL, NUM_EXPERTS);
          awaitPending(cache, NUM_EXPERTS); // computing, which ends after all of its reads
        }
        for (int id : ALL)
          ExpertContents.assertRight(experts, cache.layer(layer), layer, id); // untouched by them
        cache.layer(layer).release();
      }
      ExpertCounters counters = cache.counters();
      assertThat(counters.misses()).isEqualTo(NUM_EXPERTS); // the first layer's
      assertThat(counters.hits()).isEqualTo((NUM_LAYERS - 1) * NUM_EXPERTS);
      assertThat(counters.readAheadWastedBytes() + counters.readAheadPendingBytes()).isZero();
      assertThat(counters.demandBytesRead() + counters.readAheadUsefulBytes())
          .isEqualTo(cache.store().numExperts() * cache.store().readBytes(0, 0));
    }
  }

  @Test
  void withoutAHintNothingIsRead() throws Exception {
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers);
        ExpertCache cache = cache(checkpoint, 2 * NUM_EXPERTS)) {
      cache.layer(0).acquire(ALL, NUM_EXPERTS);
      long before = readers.numReads.get();
      Thread.sleep(50);
      assertThat(readers.numReads.get()).isEqualTo(before);
      cache.layer(0).release();
    }
  }

  @Test
  void severalReadsAreInFlight() throws Exception {
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers);
        ExpertCache cache = cache(checkpoint, 2 * NUM_EXPERTS)) {
      meetIn(NUM_READERS);
      cache.layer(0).acquire(new int[0], 0);
      cache.layer(1).hint(ALL, NUM_EXPERTS); // each read waits for two others to be under way
      awaitPending(cache, NUM_EXPERTS);
      cache.layer(0).release();
      meetIn(NUM_READERS);
      cache.layer(0).acquire(ALL, NUM_EXPERTS);
      cache.layer(0).release();
      assertThat(cache.counters().failedReads()).isZero();
    }
  }

  @Test
  void computingGoesOnWhileReadsAreStuck() throws Exception {
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers);
        ExpertCache cache = cache(checkpoint, 2 * NUM_EXPERTS)) {
      cache.layer(0).acquire(ALL, NUM_EXPERTS);
      CountDownLatch disk = new CountDownLatch(1);
      readers.beforeRead(() -> await(disk));
      cache.layer(1).hint(ALL, NUM_EXPERTS);
      for (int pass = 0; pass < 10; pass++) {
        for (int id : ALL) ExpertContents.assertRight(experts, cache.layer(0), 0, id);
        cache.layer(0).release();
        cache.layer(0).acquire(ALL, NUM_EXPERTS); // resident: nothing to wait for
      }
      assertThat(cache.counters().readAheadPendingBytes()).isZero();
      disk.countDown();
      awaitPending(cache, NUM_EXPERTS);
      cache.layer(0).release();
    }
  }

  @Test
  void whatIsNeededNowIsReadBeforeWhatMayBeNeeded() throws Exception {
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers);
        ExpertCache cache = cache(checkpoint, 2 * NUM_EXPERTS)) {
      CountDownLatch begun = new CountDownLatch(NUM_READERS);
      CountDownLatch disk = new CountDownLatch(1);
      readers.beforeRead(
          () -> {
            begun.countDown();
            await(disk);
          });
      cache.layer(1).hint(ALL, NUM_EXPERTS); // three are under way when someone needs another layer
      await(begun);
      Thread waiter =
          new Thread(
              () -> {
                cache.layer(0).acquire(ALL, NUM_EXPERTS);
                cache.layer(0).release();
              });
      waiter.start();
      while (readers.numReads.get() <= NUM_READERS) Thread.sleep(1); // it reads along
      disk.countDown();
      waiter.join();
      awaitPending(cache, NUM_EXPERTS);
      long layerBytes = NUM_EXPERTS * cache.store().storedBytes(0, 0);
      List<Long> layers = readers.offsets().stream().map(offset -> offset / layerBytes).toList();
      assertThat(layers).hasSize(2 * NUM_EXPERTS);
      assertThat(layers.subList(0, NUM_READERS)).containsOnly(1L);
      List<Long> later = layers.subList(NUM_READERS, layers.size());
      long overtaken =
          later.subList(later.indexOf(1L), later.size()).stream().filter(l -> l == 0).count();
      assertThat(overtaken).isLessThanOrEqualTo(NUM_READERS); // those that others had taken up
    }
  }

  @Test
  void hintsAreFollowedOnlyWhileTheyAreRight() throws Exception {
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers);
        ExpertCache cache = cache(checkpoint, 4)) {
      for (int round = 0; round < 20; round++) hintedAndAcquired(cache, true);
      assertThat(cache.counters().readAheadUsefulBytes())
          .as("all are followed")
          .isEqualTo(20 * 2 * cache.store().readBytes(0, 0));
      int followed = 0;
      for (int round = 0; round < 100; round++) if (hintedAndAcquired(cache, false)) followed++;
      assertThat(followed).as("first those that outweigh the right ones").isBetween(16, 32);
      followed = 0;
      for (int round = 0; round < 160; round++) if (hintedAndAcquired(cache, false)) followed++;
      assertThat(followed).as("one of 16").isEqualTo(10);
      followed = 0;
      for (int round = 0; round < 500; round++) if (hintedAndAcquired(cache, true)) followed++;
      assertThat(followed).as("nearly all, after some trials").isGreaterThan(100);
    }
  }

  /** Hints at two experts in a cache of others; returns whether that was followed. */
  private boolean hintedAndAcquired(ExpertCache cache, boolean right) throws InterruptedException {
    cache.layer(0).acquire(new int[] {0, 1, 2, 3}, 4);
    cache.layer(0).release();
    long before = cache.counters().evictions();
    cache.layer(1).hint(new int[] {0, 1}, 2);
    boolean followed = cache.counters().evictions() > before;
    if (followed) awaitPending(cache, 2);
    cache.layer(1).acquire(right ? new int[] {0, 1} : new int[] {5, 6}, 2);
    cache.layer(1).release();
    return followed;
  }

  private ExpertCache cache(Checkpoint checkpoint, int numSlots) {
    ExpertStore store = experts.store(checkpoint);
    return new ExpertCache(store, numSlots * store.slotBytes(), EvictionPolicy.lru());
  }

  private static void awaitPending(ExpertCache cache, int numExperts) throws InterruptedException {
    long bytes = numExperts * cache.store().readBytes(0, 0);
    for (int i = 0; i < 30_000 && cache.counters().readAheadPendingBytes() < bytes; i++)
      Thread.sleep(1);
    assertThat(cache.counters().readAheadPendingBytes()).isEqualTo(bytes);
  }

  private void meetIn(int numReads) {
    CyclicBarrier barrier = new CyclicBarrier(numReads);
    readers.beforeRead(
        () -> {
          try {
            barrier.await(30, TimeUnit.SECONDS);
          } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
            throw new IllegalStateException("no " + numReads + " reads in flight", e);
          }
        });
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
