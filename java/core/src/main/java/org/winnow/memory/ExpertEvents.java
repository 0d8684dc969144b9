package org.winnow.memory;

import jdk.jfr.Category;
import jdk.jfr.DataAmount;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** The cache's Java Flight Recorder events. */
final class ExpertEvents {
  private ExpertEvents() {}

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
    String failure;
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
  }
}
