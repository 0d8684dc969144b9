package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.BudgetException;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.UnsupportedFormatException;
import org.winnow.internal.AddressTable;
import org.winnow.memory.SyntheticExperts.Layout;
import org.winnow.moe.Experts;

/**
 * What experts are in memory, what is read for them, what is evicted. Failures and threads are in
 * ExpertCacheFailureTest.
 */
class ExpertCacheTest {
  @TempDir Path folder;

  private SyntheticExperts synthetic(Layout layout, DType dtype, long firstOffset)
      throws IOException {
    return new SyntheticExperts(
        folder.resolve("weights"), layout, dtype, 2, 6, 40, 24, firstOffset);
  }

  static Stream<Arguments> kinds() {
    List<Arguments> kinds = new ArrayList<>();
    for (Layout layout : Layout.values()) {
      for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
        for (boolean direct : new boolean[] {true, false}) {
          for (long firstOffset : new long[] {0, 4096 + 8, 4095})
            kinds.add(Arguments.of(layout, dtype, direct, firstOffset));
        }
      }
    }
    return kinds.stream();
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void everyElementArrivesAtItsPlace(Layout layout, DType dtype, boolean direct, long firstOffset)
      throws IOException {
    SyntheticExperts experts = synthetic(layout, dtype, firstOffset);
    try (Checkpoint checkpoint =
        new Checkpoint(experts.tensors(), direct ? RangeReader.direct() : RangeReader.buffered())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, store.slotBytes() * 4, EvictionPolicy.lru())) {
        long expectedBytes = 0;
        for (int layer = 0; layer < 2; layer++) {
          for (int[] ids : new int[][] {{0, 2, 3, 5}, {1, 4}}) {
            cache.layer(layer).acquire(ids, ids.length);
            for (int id : ids) {
              ExpertContents.assertRight(experts, cache.layer(layer), layer, id);
              expectedBytes += store.readBytes(layer, id);
            }
            cache.layer(layer).release();
          }
        }
        assertThat(cache.counters().misses()).isEqualTo(12);
        assertThat(cache.counters().demandBytesRead()).isEqualTo(expectedBytes);
        assertThat(cache.counters().failedReads()).isZero();
      }
    }
  }

  @Test
  void readsOfAnExpertStoredInOnePieceAreOneReadRoundedOutward() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.F32, 4096 + 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      long stored = 3 * 40 * 24 * 4;
      assertThat(store.storedBytes(0, 1)).isEqualTo(stored);
      long begin = (4096 + 8 + stored) / 4096 * 4096;
      long end = (4096 + 8 + 2 * stored + 4095) / 4096 * 4096;
      assertThat(store.layout(0, 1).direct()).hasSize(1);
      assertThat(store.readBytes(0, 1)).isEqualTo(end - begin);
    }
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), RangeReader.buffered())) {
      assertThat(experts.store(checkpoint).readBytes(0, 1)).isEqualTo(3 * 40 * 24 * 4);
    }
  }

  @Test
  void withAFullBudgetEachChosenExpertIsReadOnceAndNoOther() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lfru())) {
        int[][] chosen = {{0, 2}, {2, 5}, {0, 5}, {2}};
        for (int[] ids : chosen) {
          cache.layer(1).acquire(ids, ids.length);
          cache.layer(1).release();
        }
        ExpertCounters counters = cache.counters();
        assertThat(counters.misses()).isEqualTo(3).isEqualTo(counters.distinctExperts());
        assertThat(counters.hits()).isEqualTo(4);
        assertThat(counters.hitRate()).isEqualTo(4 / 7.0);
        assertThat(counters.evictions()).isZero();
        assertThat(counters.demandBytesRead())
            .isEqualTo(store.readBytes(1, 0) + store.readBytes(1, 2) + store.readBytes(1, 5));
        assertThat(counters.residentExperts()).isEqualTo(3);
        assertThat(counters.residentBytes())
            .isEqualTo(3 * store.slotBytes())
            .isEqualTo(counters.peakResidentBytes());
      }
    }
  }

  @Test
  void theSystemCountsTheSameBytes() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    boolean equal = false;
    for (int attempt = 0;
        attempt < 20 && !equal;
        attempt++) { // the JVM itself may read a class or two meanwhile
      try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
        ExpertStore store = experts.store(checkpoint);
        try (ExpertCache cache =
            new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lru())) {
          Experts layer = cache.layer(0);
          long own = -bytesReadByProcess() + bytesReadByProcess(); // what the question itself reads
          long before = bytesReadByProcess();
          for (int[] ids : new int[][] {{0, 1, 4}, {1, 4}, {1, 2}}) {
            layer.acquire(ids, ids.length);
            layer.release();
          }
          long read = bytesReadByProcess() - before - own;
          assertThat(cache.counters().misses()).isEqualTo(4);
          equal = read == cache.counters().demandBytesRead();
        }
      }
    }
    assertThat(equal).isTrue();
  }

  @Test
  void noFileIsMappedAndSlotsAskForHugePages() throws IOException {
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("weights"), Layout.SEPARATE, DType.BF16, 1, 4, 256, 1024, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lru())) {
        cache.layer(0).acquire(new int[] {0, 1, 2, 3}, 4);
        long address = AddressTable.of(cache.layer(0).gateUp()).get(2, 0);
        boolean inside = false;
        boolean advised = false;
        for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
          assertThat(line).doesNotContain(experts.file.toString());
          if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
            String[] range = line.substring(0, line.indexOf(' ')).split("-");
            inside =
                Long.parseUnsignedLong(range[0], 16) <= address
                    && address < Long.parseUnsignedLong(range[1], 16);
          }
          if (inside && line.startsWith("VmFlags:")) advised = line.contains(" hg");
        }
        assertThat(advised || !Files.exists(Path.of("/sys/kernel/mm/transparent_hugepage")))
            .isTrue();
        cache.layer(0).release();
      }
    }
  }

  private static long bytesReadByProcess() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/io"))) {
      if (line.startsWith("rchar: ")) return Long.parseLong(line.substring(7));
    }
    throw new AssertionError("no rchar");
  }

  @Test
  void theBudgetHoldsAndEvictsByThePolicy() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, store.slotBytes() * 4 - 1, EvictionPolicy.lru())) {
        assertThat(cache.numSlots()).isEqualTo(3);
        assertThat(cache.layer(0).maxPinned()).isEqualTo(3);
        int[][] chosen = {{0, 1}, {2}, {0}, {3}, {1}};
        for (int[] ids : chosen) {
          cache.layer(0).acquire(ids, ids.length);
          cache.layer(0).release();
          assertThat(cache.counters().residentBytes()).isLessThanOrEqualTo(cache.budgetBytes());
        }
        assertThat(cache.counters().misses()).isEqualTo(5); // 3 evicts 1, 1 evicts 2
        assertThat(cache.counters().evictions()).isEqualTo(2);
        cache.layer(0).acquire(new int[] {0, 1, 3}, 3);
        cache.layer(0).release();
        for (int id = 0; id < 6; id++)
          assertThat(cache.layer(0).isResident(id)).isEqualTo(id == 0 || id == 1 || id == 3);
        assertThat(cache.counters().misses()).isEqualTo(5);
        // Residents among the chosen are kept although the policy would evict them first.
        cache.layer(0).acquire(new int[] {0, 2, 4}, 3);
        assertThat(cache.counters().misses()).isEqualTo(7);
        for (int id : new int[] {0, 2, 4})
          ExpertContents.assertRight(experts, cache.layer(0), 0, id);
        assertThat(cache.layer(0).gateUp().isResident(1)).isFalse();
        cache.layer(0).release();
        assertThat(cache.layer(0).gateUp().isResident(0)).isFalse();
      }
    }
  }

  @Test
  void refusesWrongArguments() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      assertThatThrownBy(() -> new ExpertCache(store, store.slotBytes() - 1, EvictionPolicy.lru()))
          .isInstanceOf(BudgetException.class)
          .hasMessage(
              "expert budget: expected at least "
                  + store.slotBytes()
                  + " bytes, found "
                  + (store.slotBytes() - 1));
      try (ExpertCache cache =
          new ExpertCache(store, 2 * store.slotBytes(), EvictionPolicy.lru())) {
        Experts layer = cache.layer(0);
        assertThatThrownBy(() -> layer.acquire(new int[] {0, 1, 2}, 3))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("count must lie in [0, 2], found 3");
        assertThatThrownBy(() -> layer.acquire(new int[] {1, 1}, 2))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("expertIds must ascend and lie in [0, 6), found 1 after 1");
        assertThatThrownBy(() -> layer.acquire(new int[] {6}, 1))
            .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> layer.acquire(new int[] {-1}, 1))
            .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> layer.isResident(6)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> layer.hint(new int[] {6}, 1))
            .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(layer::release)
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("this thread holds no experts of layer 0");
        layer.acquire(new int[] {1}, 1);
        assertThatThrownBy(() -> cache.layer(1).acquire(new int[] {1}, 1))
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("this thread holds experts of layer 0: release them first");
        assertThatThrownBy(cache::close).isInstanceOf(IllegalStateException.class);
        layer.release();
      }
    }
  }

  @Test
  void namesTheTensorThatDoesNotFit() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    List<TensorInfo> tensors = new ArrayList<>(experts.tensors());
    TensorInfo up = tensors.get(5);
    assertThat(up.name()).isEqualTo("layers.0.1.up");
    tensors.set(
        5,
        new TensorInfo(
            up.name(),
            "BF16",
            DType.BF16,
            new long[] {40, 24},
            up.file(),
            up.offset(),
            up.sizeBytes()));
    assertThatThrownBy(() -> experts.store(new Checkpoint(tensors)))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(up.file() + ": layers.0.1.up: expected shape [24, 40], found [40, 24]");
    tensors.set(
        5,
        new TensorInfo(
            up.name(), "F16", DType.F16, up.shape(), up.file(), up.offset(), up.sizeBytes()));
    assertThatThrownBy(() -> experts.store(new Checkpoint(tensors)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("found f16");
    tensors.set(
        5,
        new TensorInfo(
            up.name(), "F8_E5M2", null, up.shape(), up.file(), up.offset(), up.sizeBytes()));
    assertThatThrownBy(() -> experts.store(new Checkpoint(tensors)))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("F8_E5M2");
    tensors.remove(5);
    assertThatThrownBy(() -> experts.store(new Checkpoint(tensors)))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("layers.0.1.up");
  }

  @Test
  void readAheadChangesWhenNotWhat() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 4 * store.slotBytes(), EvictionPolicy.lru())) {
        cache.layer(0).acquire(new int[] {0, 1}, 2);
        cache.layer(1).hint(new int[] {3, 4, 5}, 3); // room for two: the pinned ones stay
        awaitReadAhead(cache, store.readBytes(1, 3) + store.readBytes(1, 4));
        for (int id : new int[] {0, 1}) ExpertContents.assertRight(experts, cache.layer(0), 0, id);
        cache.layer(0).release();
        cache.layer(1).acquire(new int[] {3, 5}, 2);
        for (int id : new int[] {3, 5}) ExpertContents.assertRight(experts, cache.layer(1), 1, id);
        cache.layer(1).release();
        ExpertCounters counters = cache.counters();
        assertThat(counters.hits()).isEqualTo(1);
        assertThat(counters.misses()).isEqualTo(3);
        assertThat(counters.readAheadUsefulBytes()).isEqualTo(store.readBytes(1, 3));
        assertThat(counters.readAheadPendingBytes()).isZero();
        assertThat(counters.readAheadWastedBytes())
            .isEqualTo(store.readBytes(1, 4)); // it made room for 5: nobody had ever used it
        assertThat(counters.demandBytesRead())
            .isEqualTo(store.readBytes(0, 0) + store.readBytes(0, 1) + store.readBytes(1, 5));
      }
    }
  }

  @Test
  void whatWasHintedAtIsEvictedLast() throws Exception {
    SyntheticExperts experts = synthetic(Layout.SEPARATE, DType.BF16, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 3 * store.slotBytes(), EvictionPolicy.lru())) {
        cache.layer(1).acquire(new int[] {3}, 1); // the least recently used of all that follow
        cache.layer(1).release();
        cache.layer(0).acquire(new int[] {0, 1}, 2);
        cache.layer(0).release();
        cache.layer(1).hint(new int[] {3}, 1);
        cache.layer(0).acquire(new int[] {2}, 1); // evicts 0 of layer 0, not 3 of layer 1
        cache.layer(0).release();
        cache.layer(1).acquire(new int[] {3}, 1);
        cache.layer(1).release();
        assertThat(cache.counters().misses()).isEqualTo(4);
        cache
            .layer(0)
            .acquire(new int[] {0, 1, 2}, 3); // the hint is used up, and nothing else is left
        cache.layer(0).release();
        assertThat(cache.counters().misses()).isEqualTo(5);
      }
    }
  }

  private static void awaitReadAhead(ExpertCache cache, long bytes) throws InterruptedException {
    for (int i = 0; i < 5000 && cache.counters().readAheadPendingBytes() < bytes; i++)
      Thread.sleep(1);
    assertThat(cache.counters().readAheadPendingBytes()).isEqualTo(bytes);
  }

  @Test
  void aLayerOrExpertThatIsNotThereIsRefused() throws IOException {
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("none-there"), Layout.SEPARATE, DType.BF16, 2, 8, 16, 24, 8);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache = new ExpertCache(store, store.slotBytes(), EvictionPolicy.lru())) {
        assertThatThrownBy(() -> cache.layer(2))
            .isExactlyInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> store.numExperts(-1))
            .isExactlyInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> store.storedBytes(0, 8))
            .isExactlyInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> store.readBytes(2, 0))
            .isExactlyInstanceOf(IndexOutOfBoundsException.class);
      }
    }
  }
}
