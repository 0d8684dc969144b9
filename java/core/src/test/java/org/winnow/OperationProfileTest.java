package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.OperationProfile.Entry;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.op.Add;

class OperationProfileTest {
  @TempDir Path folder;

  @Test
  void callsAreCountedFromBeginToClose() {
    try (CpuBackend backend = new CpuBackend();
        Tensor sum = backend.of(new float[] {1, 2}, 1, 2);
        Tensor addend = backend.of(new float[] {10, 20}, 1, 2)) {
      Add.run(backend, sum, addend);
      OperationProfile profile = OperationProfile.begin(backend);
      Add.run(backend, sum, addend);
      Add.run(backend, sum, addend);
      profile.close();
      Add.run(backend, sum, addend);
      assertThat(sum.toFloatArray()).containsExactly(41, 82);
      assertThat(profile.entries()).hasSize(1);
      OperationProfile.Entry entry = profile.entries().get(0);
      assertThat(entry.operation()).isEqualTo("add");
      assertThat(entry.calls()).isEqualTo(2);
      assertThat(entry.regions()).isZero(); // too small to be shared
      assertThat(entry.nanos()).isBetween(1L, 10_000_000_000L);
    }
  }

  @Test
  void sharedPartsAreCountedWithTheirOperation() {
    try (CpuBackend backend = new CpuBackend(InstructionSet.PORTABLE, 2);
        Tensor sum = backend.f32(1, 1 << 15);
        OperationProfile outer = OperationProfile.begin(backend);
        OperationProfile inner = OperationProfile.begin(backend)) {
      for (int i = 0; i < 3; i++) Add.run(backend, sum, sum);
      assertThat(inner.entries()).singleElement().extracting(Entry::regions).isEqualTo(3L);
      assertThat(outer.entries()).singleElement().extracting(Entry::regions).isEqualTo(3L);
    }
  }

  @Test
  void aFailureReachesTheCallerAsItIs() {
    try (CpuBackend backend = new CpuBackend();
        Tensor sum = backend.f32(1, 2);
        Tensor longer = backend.f32(1, 3);
        OperationProfile profile = OperationProfile.begin(backend)) {
      assertThatThrownBy(() -> Add.run(backend, sum, longer))
          .isInstanceOf(IllegalArgumentException.class);
      backend.close();
      assertThatThrownBy(() -> Add.run(backend, sum, sum))
          .isInstanceOf(RuntimeException.class)
          .isNotInstanceOf(java.lang.reflect.UndeclaredThrowableException.class);
      assertThat(profile.entries()).hasSizeLessThanOrEqualTo(1);
    }
  }

  @Test
  void whileJavaFlightRecorderRunsEachCallIsAnEvent() throws Exception {
    Path file = folder.resolve("operations.jfr");
    try (Recording recording = new Recording()) {
      recording.enable("org.winnow.Operation").withoutThreshold();
      recording.start();
      try (CpuBackend backend = new CpuBackend();
          Tensor sum = backend.f32(1, 2);
          Tensor addend = backend.f32(1, 2)) {
        for (int i = 0; i < 3; i++) Add.run(backend, sum, addend);
      }
      recording.stop();
      recording.dump(file);
    }
    List<RecordedEvent> events =
        RecordingFile.readAllEvents(file).stream()
            .filter(event -> event.getEventType().getName().equals("org.winnow.Operation"))
            .toList();
    assertThat(events).hasSize(3);
    assertThat(events)
        .allSatisfy(
            event -> {
              assertThat(event.getString("operation")).isEqualTo("add");
              assertThat(event.getLong("regions")).isZero();
            });
  }
}
