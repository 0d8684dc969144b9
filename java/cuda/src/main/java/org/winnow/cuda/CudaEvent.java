package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_EVENT_DISABLE_TIMING;
import static org.bytedeco.cuda.global.cudart.cuEventCreate;
import static org.bytedeco.cuda.global.cudart.cuEventDestroy;
import static org.bytedeco.cuda.global.cudart.cuEventQuery;
import static org.bytedeco.cuda.global.cudart.cuEventRecord;
import static org.bytedeco.cuda.global.cudart.cuEventSynchronize;

import org.bytedeco.cuda.cudart.CUevent_st;

/**
 * A point in a stream that the host or another stream can wait for. An event that was never
 * recorded counts as reached.
 */
final class CudaEvent implements AutoCloseable {
  private final CudaContext context;
  private final CUevent_st handle = new CUevent_st();

  CudaEvent(CudaContext context) {
    this.context = context;
    context.check(cuEventCreate(handle, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
  }

  CUevent_st handle() {
    return handle;
  }

  /** Moves this event to the end of the work issued on the stream so far. */
  void record(CudaStream stream) {
    context.check(cuEventRecord(handle, stream.handle()), "cuEventRecord");
  }

  boolean isReached() {
    int status = cuEventQuery(handle);
    if (status == CudaError.NOT_READY) return false;
    context.check(status, "cuEventQuery");
    return true;
  }

  /** Waits until the stream reaches this event. */
  void synchronize() {
    context.check(cuEventSynchronize(handle), "cuEventSynchronize");
  }

  @Override
  public void close() {
    cuEventDestroy(handle);
  }
}
