package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.memory.SyntheticExperts.Layout;
import org.winnow.moe.Experts;

/** Reads, tables and policies that fail. */
@Timeout(
    value = 60,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // who waits for experts cannot be interrupted
class ExpertCacheFailureTest {
  /** Direct reads that do not notice changes, so that they find where a file ends. */
  private static final RangeReader.Opener ENDING_EARLY =
      file -> new NativeRangeReader(file, true, false);

  @TempDir Path folder;
  private final FaultyReaders readers = new FaultyReaders();

  private SyntheticExperts synthetic(Layout layout) throws IOException {
    return new SyntheticExperts(folder.resolve("weights"), layout, DType.BF16, 2, 8, 16, 24, 8);
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
  void aFileThatChangesWhileItIsOpenIsNamed() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        cache.layer(0).acquire(new int[] {0, 7}, 2);
        cache.layer(0).release();
        Files.setLastModifiedTime(experts.file, FileTime.fromMillis(1000));
        assertThatThrownBy(() -> cache.layer(1).acquire(new int[] {1}, 1))
            .isInstanceOf(ExpertReadException.class)
            .hasMessageContaining(experts.file.toString())
            .hasMessageContaining("changed since it was opened")
            .hasMessageContaining("modified 1970-01-01T00:00:01.000000000Z");
        cache.layer(0).acquire(new int[] {0, 7}, 2); // what was read before is whole
        cache.layer(0).release();
      }
    }
  }

  @Test
  void aFileCutShortInTheMiddleIsATypedError() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), ENDING_EARLY)) {
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
            new Checkpoint(experts.tensors(), direct ? ENDING_EARLY : readers)) {
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
  void aFailedReadAheadIsTriedAgainWhenItIsNeeded() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        readers.poison(experts, "layers.1.3.");
        cache.layer(1).hint(new int[] {3}, 1);
        while (cache.counters().failedReads() == 0) Thread.sleep(1);
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
