package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

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
}
