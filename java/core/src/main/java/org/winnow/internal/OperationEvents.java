package org.winnow.internal;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Objects;
import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.FlightRecorder;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** Java Flight Recorder's events of operations. */
public final class OperationEvents implements ObservedKernels.Observer {
  private final ThreadLocal<Deque<Operation>> begun = ThreadLocal.withInitial(ArrayDeque::new);

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
  public void begin(String operation) {
    Operation event = new Operation();
    event.begin();
    begun.get().push(event);
  }

  @Override
  public void end(String operation, long nanos) {
    Operation event = Objects.requireNonNull(begun.get().poll());
    event.end();
    if (!event.shouldCommit()) return;
    event.operation = operation;
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
  }
}
