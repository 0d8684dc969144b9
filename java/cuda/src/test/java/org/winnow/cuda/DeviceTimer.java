package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_EVENT_DEFAULT;
import static org.bytedeco.cuda.global.cudart.cuEventCreate;
import static org.bytedeco.cuda.global.cudart.cuEventDestroy;
import static org.bytedeco.cuda.global.cudart.cuEventElapsedTime;
import static org.bytedeco.cuda.global.cudart.cuEventRecord;
import static org.bytedeco.cuda.global.cudart.cuEventSynchronize;

import org.bytedeco.cuda.cudart.CUevent_st;

/**
 * Times work on a backend's stream by the device's own clock: two events with the work between
 * them. On the stand-in the clock is the host's.
 */
final class DeviceTimer implements AutoCloseable {
  private final CudaContext context;
  private final CUevent_st begin = new CUevent_st();
  private final CUevent_st end = new CUevent_st();

  DeviceTimer(CudaBackend backend) {
    context = backend.context();
    try (var entry = context.enter("timing")) {
      context.check(cuEventCreate(begin, CU_EVENT_DEFAULT), "cuEventCreate");
      context.check(cuEventCreate(end, CU_EVENT_DEFAULT), "cuEventCreate");
    }
  }

  /** Seconds from the event before the work to the event after it; waits for both. */
  double seconds(Runnable work) {
    record(begin);
    work.run();
    record(end);
    try (var entry = context.enter("timing")) {
      context.check(cuEventSynchronize(end), "cuEventSynchronize");
      float[] milliseconds = new float[1];
      context.check(cuEventElapsedTime(milliseconds, begin, end), "cuEventElapsedTime");
      return milliseconds[0] / 1e3;
    }
  }

  private void record(CUevent_st event) {
    try (var entry = context.enter("timing")) {
      context.check(cuEventRecord(event, entry.stream().handle()), "cuEventRecord");
    }
  }

  @Override
  public void close() {
    cuEventDestroy(begin);
    cuEventDestroy(end);
  }
}
