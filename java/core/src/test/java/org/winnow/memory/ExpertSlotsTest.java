package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.moe.Experts;

class ExpertSlotsTest {
  private final ExpertSlots slots = new ExpertSlots(8, 4, new LruPolicy());

  @Test
  void slotsArePopulatedInTheOrderInWhichTheyAreTaken() {
    int first = slots.takeFree(0, ExpertSlots.READY);

    int second = slots.nextToPopulate(2);
    int third = slots.nextToPopulate(2);

    assertThat(slots.nextToPopulate(2)).isEqualTo(-1);
    assertThat(slots.takeFree(1, ExpertSlots.READY)).isEqualTo(second).isNotEqualTo(first);
    assertThat(slots.takeFree(2, ExpertSlots.READY)).isEqualTo(third);
  }

  @Test
  void aSlotThatWasUsedHasItsMemory() {
    for (int expert = 0; expert < 4; expert++) slots.takeFree(expert, ExpertSlots.READY);

    slots.release(slots.slotOf[2]);

    assertThat(slots.nextToPopulate(4)).isEqualTo(-1);
  }

  @Test
  void slotsThatWereTakenGiveOthersTheirTurnToBePopulated() {
    while (slots.nextToPopulate(2) >= 0) {}

    assertThat(slots.hasToPopulate(2)).isFalse();
    slots.takeFree(0, ExpertSlots.READY);
    assertThat(slots.hasToPopulate(2)).isTrue();
  }

  /** The process grows before anything is read, and again when slots are taken. */
  @Test
  void anIdleReaderPopulatesSlotsFromTheOpeningOfTheCache(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("experts");
    LargeExperts.write(file);
    try (Checkpoint checkpoint = new Checkpoint(LargeExperts.tensors(file))) {
      ExpertStore store = LargeExperts.store(checkpoint);
      long slotBytes = store.slotBytes();
      long ahead = Math.min(8, (128 << 20) / slotBytes);
      long before = residentBytes();
      try (ExpertCache cache = new ExpertCache(store, 24 * slotBytes, new LruPolicy())) {
        awaitGrowth(before + ahead * slotBytes);
        assertThat(cache.counters().peakResidentBytes()).isZero();

        Experts layer = cache.layer(0);
        for (int expert = 0; expert < 4; expert++) { // the caller itself reads each
          layer.acquire(new int[] {expert}, 1);
          layer.release();
        }

        awaitGrowth(before + (ahead + 4) * slotBytes);
        assertThat(residentBytes() - before).isLessThan((ahead + 8) * slotBytes);
        assertThat(cache.counters().peakResidentBytes()).isEqualTo(4 * slotBytes);
      }
    }
  }

  private static void awaitGrowth(long bytes) throws Exception {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
    while (residentBytes() < bytes && System.nanoTime() < end)
      Thread.sleep(50); // a loop without rest makes the heap grow, too
    assertThat(residentBytes()).isGreaterThanOrEqualTo(bytes);
  }

  private static long residentBytes() throws IOException {
    String[] pages = Files.readString(Path.of("/proc/self/statm")).split(" ");
    return Long.parseLong(pages[1]) * 4096;
  }
}
