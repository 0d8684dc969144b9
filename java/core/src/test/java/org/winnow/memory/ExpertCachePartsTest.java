package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.moe.Experts;

/** Experts that are acquired as they are read. They have about 1 MB each. */
@Timeout(
    value = 60,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // who waits for experts cannot be interrupted
class ExpertCachePartsTest {
  private static final int NUM_EXPERTS = 6;
  private static final int[] ALL = {0, 1, 2, 3, 4, 5};

  @TempDir Path folder;
  private final FaultyReaders readers = new FaultyReaders();
  private final CountDownLatch disk = new CountDownLatch(1);
  private final int[] ready = new int[NUM_EXPERTS];
  private SyntheticExperts experts;
  private Checkpoint checkpoint;
  private ExpertCache cache;
  private Experts layer;

  @BeforeEach
  void open() throws IOException {
    experts = experts(512, 352);
    checkpoint = new Checkpoint(experts.tensors(), readers);
    ExpertStore store = experts.store(checkpoint);
    cache = new ExpertCache(store, NUM_EXPERTS * store.slotBytes(), EvictionPolicy.lru());
    layer = cache.layer(0);
  }

  private SyntheticExperts experts(int hiddenSize, int intermediateSize) throws IOException {
    return new SyntheticExperts(
        folder.resolve("weights" + hiddenSize),
        SyntheticExperts.Layout.SEPARATE,
        DType.BF16,
        1,
        NUM_EXPERTS,
        hiddenSize,
        intermediateSize,
        0);
  }

  @AfterEach
  void close() {
    disk.countDown();
    cache.close();
    checkpoint.close();
  }

  /** Makes experts 1 and 4 resident, then lets no read end. */
  private void stickAfterTwo() {
    layer.acquire(new int[] {1, 4}, 2);
    layer.release();
    readers.beforeRead(
        () -> {
          try {
            disk.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
  }

  @Test
  void thoseThatAreResidentAreComputedWhileOthersAreRead() {
    stickAfterTwo();
    int numReady = layer.acquireAsRead(ALL, NUM_EXPERTS, ready);
    assertThat(Arrays.copyOf(ready, numReady)).containsExactly(1, 4);
    for (int id : ALL) assertThat(layer.gateUp().isResident(id)).isEqualTo(id == 1 || id == 4);
    ExpertContents.assertRight(experts, layer, 0, 4);
    assertThat(cache.numPinned()).isEqualTo(NUM_EXPERTS);
    disk.countDown();
    TreeSet<Integer> later = new TreeSet<>();
    for (int n = layer.awaitMore(ready); n > 0; n = layer.awaitMore(ready)) {
      int[] part = Arrays.copyOf(ready, n);
      assertThat(part).isSorted();
      for (int id : part) {
        assertThat(later.add(id)).isTrue();
        ExpertContents.assertRight(experts, layer, 0, id);
      }
    }
    assertThat(later).containsExactly(0, 2, 3, 5);
    layer.release();
    assertThat(cache.counters().misses()).isEqualTo(NUM_EXPERTS);
    assertThat(cache.counters().hits()).isEqualTo(2);
    assertThat(cache.counters().waitNanos()).isPositive();
    assertThat(cache.numPinned()).isZero();
  }

  @Test
  void aFailureOfALaterPartLeavesTheOthersHeld() {
    stickAfterTwo();
    readers.poison(experts, "layers.0.3.");
    assertThat(layer.acquireAsRead(ALL, NUM_EXPERTS, ready)).isEqualTo(2);
    disk.countDown();
    assertThatThrownBy(
            () -> {
              while (layer.awaitMore(ready) > 0) {}
            })
        .isInstanceOf(ExpertReadException.class)
        .hasMessageContaining("layer 0, expert 3");
    ExpertContents.assertRight(experts, layer, 0, 1);
    layer.release();
    assertThat(cache.numPinned()).isZero();
    readers.heal();
    layer.acquire(ALL, NUM_EXPERTS);
    for (int id : ALL) ExpertContents.assertRight(experts, layer, 0, id);
    layer.release();
  }

  @Test
  void aFailureOfTheFirstPartHoldsNothing() {
    readers.poison(experts, "layers.0.");
    assertThatThrownBy(() -> layer.acquireAsRead(ALL, NUM_EXPERTS, ready))
        .isInstanceOf(ExpertReadException.class);
    assertThatThrownBy(layer::release).isInstanceOf(IllegalStateException.class);
    assertThat(cache.numPinned()).isZero();
  }

  @Test
  void whatIsReleasedBeforeItCameIsNotWaitedFor() {
    stickAfterTwo();
    assertThat(layer.acquireAsRead(ALL, NUM_EXPERTS, ready)).isEqualTo(2);
    layer.release();
    assertThat(cache.numPinned()).isZero();
    assertThat(layer.gateUp().isResident(1)).isTrue(); // no expert is ever evicted
    assertThat(layer.gateUp().isResident(0)).isFalse(); // never told
    assertThatThrownBy(() -> layer.awaitMore(ready)).isInstanceOf(IllegalStateException.class);
    disk.countDown();
    layer.acquire(ALL, NUM_EXPERTS);
    for (int id : ALL) ExpertContents.assertRight(experts, layer, 0, id);
    layer.release();
  }

  @Test
  void aThreadThatEndsBetweenPartsHoldsNothing() throws InterruptedException {
    stickAfterTwo();
    Thread holder = new Thread(() -> layer.acquireAsRead(ALL, NUM_EXPERTS, ready));
    holder.start();
    holder.join();
    disk.countDown();
    layer.acquire(ALL, NUM_EXPERTS);
    for (int id : ALL) ExpertContents.assertRight(experts, layer, 0, id);
    layer.release();
  }

  @Test
  void closingWaitsForTheLastPart() throws InterruptedException {
    stickAfterTwo();
    int numReady = layer.acquireAsRead(ALL, NUM_EXPERTS, ready);
    Thread closer = new Thread(cache::close);
    closer.start();
    while (closer.getState() != Thread.State.TIMED_WAITING) Thread.sleep(1);
    disk.countDown();
    for (int n; (n = layer.awaitMore(ready)) > 0; numReady += n) {
      for (int i = 0; i < n; i++) ExpertContents.assertRight(experts, layer, 0, ready[i]);
    }
    assertThat(numReady).isEqualTo(NUM_EXPERTS);
    assertThat(closer.isAlive()).isTrue();
    layer.release();
    closer.join();
  }

  @Test
  void littleIsReadByTheCallerInOneGo() throws IOException {
    SyntheticExperts small = experts(32, 48);
    try (Checkpoint files = new Checkpoint(small.tensors());
        ExpertCache few = new ExpertCache(small.store(files), 1 << 20, EvictionPolicy.lru())) {
      assertThat(few.layer(0).acquireAsRead(ALL, NUM_EXPERTS, ready)).isEqualTo(NUM_EXPERTS);
      assertThat(ready).containsExactly(ALL);
      assertThat(few.layer(0).awaitMore(ready)).isZero();
      few.layer(0).release();
    }
  }

  @Test
  void namesAnArrayThatCannotTakeTheExperts() {
    for (int[] wrong : new int[][] {ALL, new int[NUM_EXPERTS - 1]}) {
      assertThatThrownBy(() -> layer.acquireAsRead(ALL, NUM_EXPERTS, wrong))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("ready must be another array of at least 6, found " + wrong.length);
    }
    assertThat(cache.numPinned()).isZero();
  }
}
