package org.winnow.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Java Flight Recorder's events of operations. */
public final class OperationEvents implements ObservedKernels.Observer {
  private OperationEvents() {}

  /**
   * These kernels with an event for each call if a recording asks for them by now. Otherwise they
   * are returned as they are, and a call costs nothing more.
   */
  static Kernels recorded(Kernels kernels) {
    return FlightRecorder.isInitialized() && new Operation().isEnabled()
        ? ObservedKernels.of(kernels, new OperationEvents())
        : kernels;
  }

  @Override
  public Object begin() {
    Operation event = new Operation();
    event.begin();
    return event;
  }

  @Override
  public void end(Object begun, String operation, long regions, long nanos) {
    Operation event = (Operation) begun;
    event.end();
    if (!event.shouldCommit()) return;
    event.operation = operation;
    event.regions = regions;
    event.commit();
  }

  @Name("org.winnow.Operation")
  @Label("Operation")
  @Category("Winnow")
  @Description("A backend ran an operation; on a device, the host issued it")
  @StackTrace(false)
  static final class Operation extends Event {
    @Label("Operation")
    String operation = "";

    @Label("Parallel regions")
    @Description("Parts that several threads shared and whose end they waited for")
    long regions;
  }
}
