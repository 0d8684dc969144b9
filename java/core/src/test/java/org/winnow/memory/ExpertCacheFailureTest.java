package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
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
import org.winnow.ScarceMemory;
import org.winnow.internal.NativeCall;
import org.winnow.memory.SyntheticExperts.Layout;
import org.winnow.moe.Experts;

/** Reads that fail, threads that meet, and closing in the middle of it. */
@Timeout(
    value = 60,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // who waits for experts cannot be interrupted
class ExpertCacheFailureTest {
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

  private static void poison(FaultyReaders readers, SyntheticExperts experts, String prefix) {
    for (TensorInfo tensor : experts.tensors()) {
      if (tensor.name().startsWith(prefix))
        readers.poison(tensor.offset(), tensor.offset() + tensor.sizeBytes());
    }
  }

  @Test
  void aFailedReadHoldsNothingAndTheCacheGoesOn() throws IOException {
    for (Layout layout : new Layout[] {Layout.SEPARATE, Layout.INTERLEAVED}) {
      SyntheticExperts experts = synthetic(layout);
      try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
        ExpertStore store = experts.store(checkpoint);
        try (ExpertCache cache =
            new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
          Experts layer = cache.layer(0);
          layer.acquire(new int[] {0, 1}, 2);
          layer.release();
          TensorInfo down =
              checkpoint.require(layout == Layout.SEPARATE ? "layers.0.3.down" : "layers.0.down");
          long begin = down.offset() + (layout == Layout.SEPARATE ? 0 : 3 * 16 * 24 * 2);
          readers.poison(begin + 10, begin + 11);
          for (int attempt = 0; attempt < 3; attempt++) {
            assertThatThrownBy(() -> layer.acquire(new int[] {1, 2, 3, 4}, 4))
                .isInstanceOfSatisfying(
                    ExpertReadException.class,
                    e -> {
                      assertThat(e.file()).isEqualTo(experts.file);
                      assertThat(e.what()).isEqualTo("layer 0, expert 3: " + down.name());
                      assertThat(e.foundBytes()).isEqualTo(-1);
                      assertThat(e).hasMessageContaining("poisoned");
                    });
            assertThatThrownBy(layer::release).isInstanceOf(IllegalStateException.class);
            assertThat(layer.isResident(3)).isFalse();
            assertThat(layer.gateUp().isResident(1)).isFalse();
            assertThat(cache.numPinned()).isZero();
          }
          assertThat(cache.counters().failedReads()).isEqualTo(3);
          layer.acquire(new int[] {4, 5, 6, 7}, 4); // all slots can be had: nothing is pinned
          for (int id = 4; id < 8; id++) ExpertContents.assertRight(experts, layer, 0, id);
          layer.release();
          readers.heal();
          layer.acquire(new int[] {1, 2, 3, 4}, 4);
          for (int id = 1; id < 5; id++) ExpertContents.assertRight(experts, layer, 0, id);
          layer.release();
        }
      }
    }
  }

  @Test
  void aFileCutShortInTheMiddleIsATypedError() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) { // direct
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        cache.layer(0).acquire(new int[] {0, 7}, 2);
        cache.layer(0).release();
        long cut = checkpoint.require("layers.1.2.up").offset() + 100;
        try (RandomAccessFile open = new RandomAccessFile(experts.file.toFile(), "rw")) {
          open.setLength(cut);
        }
        assertThatThrownBy(() -> cache.layer(1).acquire(new int[] {1, 2}, 2))
            .isInstanceOfSatisfying(
                ExpertReadException.class,
                e -> {
                  assertThat(e.what()).isEqualTo("layer 1, expert 2: layers.1.2.up");
                  assertThat(e.offsetBytes())
                      .isEqualTo(checkpoint.require("layers.1.2.up").offset());
                  assertThat(e.offsetBytes() + e.foundBytes()).isEqualTo(cut);
                  assertThat(e.foundBytes()).isLessThan(e.expectedBytes());
                });
        cache.layer(1).acquire(new int[] {0, 1}, 2);
        ExpertContents.assertRight(experts, cache.layer(1), 1, 1);
        cache.layer(1).release();
      }
    }
  }

  @Test
  void aReadOfSeveralTensorsNamesTheOneThatFails() throws IOException {
    for (boolean direct : new boolean[] {false, true}) {
      SyntheticExperts experts = synthetic(Layout.SEPARATE);
      for (String tensor : new String[] {"down", "gate", "up"}) {
        String name = "layers.1.5." + tensor;
        try (Checkpoint checkpoint =
            new Checkpoint(experts.tensors(), direct ? RangeReader.direct() : readers)) {
          ExpertStore store = experts.store(checkpoint);
          assertThat(store.layout(1, 5).direct()).hasSize(1);
          TensorInfo info = checkpoint.require(name);
          long expectedFound = -1;
          try (ExpertCache cache =
              new ExpertCache(store, 2 * store.slotBytes(), EvictionPolicy.lru())) {
            if (direct) { // a file that ends early: the last tensor first, as it gets shorter
              expectedFound = 2;
              try (RandomAccessFile open = new RandomAccessFile(experts.file.toFile(), "rw")) {
                open.setLength(info.offset() + expectedFound);
              }
            } else {
              readers.poison(info.offset() + 2, info.offset() + 4);
            }
            long found = expectedFound;
            assertThatThrownBy(() -> cache.layer(1).acquire(new int[] {5}, 1))
                .isInstanceOfSatisfying(
                    ExpertReadException.class,
                    e -> {
                      assertThat(e.what()).isEqualTo("layer 1, expert 5: " + name);
                      assertThat(e.offsetBytes()).isEqualTo(info.offset());
                      assertThat(e.expectedBytes()).isEqualTo(info.sizeBytes());
                      assertThat(e.foundBytes()).isEqualTo(found);
                    });
          }
        }
        readers.heal();
        experts = synthetic(Layout.SEPARATE); // whole again
      }
    }
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
  void aFailedReadAheadIsTriedAgainWhenItIsNeeded() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        poison(readers, experts, "layers.1.3.");
        cache.layer(1).hint(new int[] {3}, 1);
        await(() -> cache.counters().failedReads() == 1);
        assertThatThrownBy(() -> cache.layer(1).acquire(new int[] {3}, 1))
            .isInstanceOf(ExpertReadException.class);
        readers.heal();
        cache.layer(1).acquire(new int[] {3}, 1);
        ExpertContents.assertRight(experts, cache.layer(1), 1, 3);
        cache.layer(1).release();
      }
    }
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
          if (fails) poison(readers, experts, "layers.1.5.");
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
        poison(readers, experts, "layers.0.4.");
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
  void aCloseThatIsRefusedOrFailsMayBeCalledAgain() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    ScarceMemory memory = new ScarceMemory();
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      ExpertCache cache = new ExpertCache(store, memory.memory(), 1 << 20, EvictionPolicy.lru());
      cache.layer(0).acquire(new int[] {0, 1}, 2);
      cache.layer(0).release();
      NativeCall call = NativeCall.enter();
      try {
        assertThatThrownBy(cache::close)
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("close() called from inside an operation or while experts are held");
      } finally {
        call.exit();
      }
      cache.layer(0).acquire(new int[] {0}, 1); // nothing was closed
      cache.layer(0).release();
      memory.refusesReleases = true;
      assertThatThrownBy(cache::close).hasMessage("releases are refused");
      cache.close();
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
          if (faulty) poison(readers, experts, "layers.0.4.");
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

  @Test
  void nothingLeaks() throws Exception {
    SyntheticExperts experts = synthetic(Layout.INTERLEAVED);
    int descriptors = 0;
    long threadsBefore = 0;
    for (int round = 0; round < 60; round++) {
      try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
        ExpertStore store = experts.store(checkpoint);
        try (ExpertCache cache =
            new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lru())) {
          cache.layer(1).acquire(new int[] {0, 3}, 2);
          cache.layer(1).release();
        }
      }
      if (round == 9) {
        descriptors = openDescriptors();
        threadsBefore = readerThreads();
      }
    }
    assertThat(openDescriptors()).isLessThanOrEqualTo(descriptors);
    for (int i = 0; i < 1000 && readerThreads() > 0; i++) Thread.sleep(1);
    assertThat(readerThreads()).isZero();
    assertThat(threadsBefore).isLessThan(20);
  }

  @Test
  void memoryIsGivenBack() throws IOException {
    int numExperts = 8;
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("large"), Layout.INTERLEAVED, DType.BF16, 1, numExperts, 256, 1024, 8);
    int[] ids = IntStream.range(0, numExperts).toArray();
    long before = 0;
    long cacheBytes = 0;
    for (int round = 0; round < 50; round++) {
      try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
        ExpertStore store = experts.store(checkpoint);
        cacheBytes = store.fullBudgetBytes();
        try (ExpertCache cache = new ExpertCache(store, cacheBytes, EvictionPolicy.lfru())) {
          cache.layer(0).acquire(ids, numExperts);
          cache.layer(0).release();
        }
      }
      if (round == 9) before = residentBytesOutsideTheHeap();
    }
    assertThat(cacheBytes).isGreaterThan(12 << 20);
    assertThat(residentBytesOutsideTheHeap() - before) // 40 arenas, or 40 times 4 staging buffers
        .isLessThan(4 * cacheBytes);
  }

  /** Anonymous memory, less what the Java heap may have grown to. */
  private static long residentBytesOutsideTheHeap() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("RssAnon:"))
        return Long.parseLong(line.replaceAll("\\D", "")) * 1024
            - Runtime.getRuntime().totalMemory();
    }
    throw new IOException("/proc/self/status has no RssAnon");
  }

  private static int openDescriptors() {
    return new File("/proc/self/fd").list().length;
  }

  private static long readerThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("winnow-expert-reader"))
        .count();
  }

  private static void awaitQuietly(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void tablesThatACallerClosedHoldNothing() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        Experts layer = cache.layer(0);
        layer.acquire(new int[] {0, 1}, 2);
        layer.release();
        layer.down().close();
        assertThatThrownBy(() -> layer.acquire(new int[] {1, 2}, 2))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("expert matrices are closed");
        assertThatThrownBy(layer::release).isInstanceOf(IllegalStateException.class);
        assertThat(cache.numPinned()).isZero();
        assertThat(layer.gateUp().isResident(1)).isFalse();
        cache.layer(1).acquire(new int[] {0, 1, 2, 3}, 4); // all slots can be had
        cache.layer(1).gateUp().close();
        cache.layer(1).release();
        assertThat(cache.numPinned()).isZero();
      }
    }
  }

  @Test
  void aPolicyThatThrowsHoldsNothing() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    AtomicBoolean throwing = new AtomicBoolean();
    EvictionPolicy policy = new ThrowingPolicy(throwing);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache = new ExpertCache(store, 2 * store.slotBytes(), policy)) {
        Experts layer = cache.layer(0);
        layer.acquire(new int[] {0, 1}, 2);
        layer.release();
        throwing.set(true);
        assertThatThrownBy(() -> layer.acquire(new int[] {1, 2}, 2))
            .isInstanceOf(ArithmeticException.class);
        assertThatThrownBy(layer::release).isInstanceOf(IllegalStateException.class);
        assertThat(cache.numPinned()).isZero();
        throwing.set(false);
        layer.acquire(new int[] {1, 2}, 2);
        ExpertContents.assertRight(experts, layer, 0, 2);
        layer.release();
      }
    }
  }

  /** Ranks, where it is asked to choose a victim, only for as long as it may. */
  private record ThrowingPolicy(AtomicBoolean throwing) implements EvictionPolicy {
    @Override
    public void begin(int numExperts) {}

    @Override
    public void used(int expert, long pass) {}

    @Override
    public double rank(int expert) {
      if (throwing.get()) throw new ArithmeticException("no rank");
      return expert;
    }
  }
}
