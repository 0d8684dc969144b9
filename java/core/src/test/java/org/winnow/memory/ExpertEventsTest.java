package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.ExpertReadException;

class ExpertEventsTest {
  @TempDir Path folder;

  @Test
  void aRecordingTellsWhatTheCacheDid() throws IOException {
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("weights"),
            SyntheticExperts.Layout.SEPARATE,
            DType.BF16,
            2,
            6,
            16,
            16,
            8);
    FaultyReaders readers = new FaultyReaders();
    Path file = folder.resolve("recording.jfr");
    try (Recording recording = new Recording();
        Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
      for (String name : List.of("Load", "Evict", "Wait"))
        recording.enable("org.winnow.Expert" + name).withoutThreshold();
      recording.start();
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
          new ExpertCache(store, 2 * store.slotBytes(), EvictionPolicy.lru())) {
        for (int[] ids : new int[][] {{1, 4}, {1, 4}, {4, 5}}) {
          cache.layer(1).acquire(ids, 2);
          cache.layer(1).release();
        }
        readers.poison(0, Long.MAX_VALUE);
        assertThatThrownBy(() -> cache.layer(0).acquire(new int[] {0}, 1))
            .isInstanceOf(ExpertReadException.class);
      }
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events = RecordingFile.readAllEvents(file);
    List<RecordedEvent> loads = of(events, "org.winnow.ExpertLoad");
    assertThat(loads).hasSize(4);
    assertThat(loads)
        .extracting(event -> event.getInt("expert"))
        .containsExactlyInAnyOrder(1, 4, 5, 0);
    assertThat(loads)
        .filteredOn(event -> event.getString("failure") == null)
        .allSatisfy(
            event -> {
              assertThat(event.getInt("layer")).isEqualTo(1);
              assertThat(event.getLong("bytes")).isEqualTo(3 * 16 * 16 * 2);
              assertThat(event.getBoolean("readAhead")).isFalse();
              assertThat(event.getDuration()).isPositive();
            });
    assertThat(loads)
        .filteredOn(event -> event.getString("failure") != null)
        .singleElement()
        .satisfies(
            event ->
                assertThat(event.getString("failure"))
                    .contains("layer 0, expert 0")
                    .contains("poisoned"));
    assertThat(of(events, "org.winnow.ExpertEvict"))
        .extracting(event -> event.getInt("layer") + "/" + event.getInt("expert"))
        .contains("1/1");
    assertThat(of(events, "org.winnow.ExpertWait"))
        .extracting(event -> event.getInt("absentExperts"))
        .containsExactly(2, 1, 1);
  }

  private static List<RecordedEvent> of(List<RecordedEvent> events, String name) {
    return events.stream().filter(event -> event.getEventType().getName().equals(name)).toList();
  }
}
