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

  /** The process grows by more than what was read. */
  @Test
  void anIdleReaderPopulatesSlotsOfTheCache(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("experts");
    LargeExperts.write(file);
    try (Checkpoint checkpoint =
            new Checkpoint(LargeExperts.tensors(file), RangeReader.buffered());
        ExpertCache cache =
            new ExpertCache(
                LargeExperts.store(checkpoint),
                12 * LargeExperts.store(checkpoint).slotBytes(),
                new LruPolicy())) {
      long slotBytes = cache.store().slotBytes();
      long before = residentBytes();

      Experts layer = cache.layer(0);
      layer.acquire(new int[] {0, 1}, 2); // the second one is read by a reader
      layer.release();

      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(5);
      while (residentBytes() - before < 6 * slotBytes && System.nanoTime() < end)
        Thread.sleep(50); // a loop without rest makes the heap grow, too
      assertThat(residentBytes() - before).isGreaterThan(6 * slotBytes);
      assertThat(cache.counters().peakResidentBytes()).isEqualTo(2 * slotBytes);
    }
  }

  private static long residentBytes() throws IOException {
    String[] pages = Files.readString(Path.of("/proc/self/statm")).split(" ");
    return Long.parseLong(pages[1]) * 4096;
  }
}
