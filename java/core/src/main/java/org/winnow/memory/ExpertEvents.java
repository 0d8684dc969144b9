package org.winnow.memory;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import org.jspecify.annotations.Nullable;

/**
 * The cache's Java Flight Recorder events. The first event sets the recorder up, which takes as
 * long as the start of a JVM: none is made before a program has asked for the recorder.
 */
final class ExpertEvents {
  private ExpertEvents() {}

  /** Begins one; null if nothing can be recording. */
  static @Nullable Load beginLoad() {
    if (!FlightRecorder.isInitialized()) return null;
    Load event = new Load();
    event.begin();
    return event;
  }

  /** Begins one; null if nothing can be recording. */
  static @Nullable Wait beginWait() {
    if (!FlightRecorder.isInitialized()) return null;
    Wait event = new Wait();
    event.begin();
    return event;
  }

  static void evicted(int layer, int expert, long bytes) {
    if (!FlightRecorder.isInitialized()) return;
    Evict event = new Evict();
    event.layer = layer;
    event.expert = expert;
    event.bytes = bytes;
    event.commit();
  }

  @Name("org.winnow.ExpertLoad")
  @Label("Expert Load")
  @Category("Winnow")
  @Description("An expert's weights were read from their files")
  @StackTrace(false)
  static final class Load extends Event {
    @Label("Layer")
    int layer;

    @Label("Expert")
    int expert;

    @Label("Bytes")
    @DataAmount
    long bytes;

    @Label("Read Ahead")
    boolean readAhead;

    @Label("Failure")
    @Nullable String failure;

    void commit(
        int layer, int expert, long bytes, boolean readAhead, @Nullable RuntimeException failure) {
      this.layer = layer;
      this.expert = expert;
      this.bytes = bytes;
      this.readAhead = readAhead;
      this.failure = failure == null ? null : failure.getMessage();
      commit();
    }
  }

  @Name("org.winnow.ExpertEvict")
  @Label("Expert Evict")
  @Category("Winnow")
  @Description("An expert made room for another")
  @StackTrace(false)
  static final class Evict extends Event {
    @Label("Layer")
    int layer;

    @Label("Expert")
    int expert;

    @Label("Bytes")
    @DataAmount
    long bytes;
  }

  @Name("org.winnow.ExpertWait")
  @Label("Expert Wait")
  @Category("Winnow")
  @Description("A layer waited for the weights of experts that it chose")
  @StackTrace(false)
  static final class Wait extends Event {
    @Label("Layer")
    int layer;

    @Label("Experts")
    int experts;

    @Label("Absent Experts")
    int absentExperts;

    void commit(int layer, int experts, int absentExperts) {
      this.layer = layer;
      this.experts = experts;
      this.absentExperts = absentExperts;
      commit();
    }
  }
}
