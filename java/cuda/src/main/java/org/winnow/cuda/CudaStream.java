package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_STREAM_NON_BLOCKING;
import static org.bytedeco.cuda.global.cudart.cuStreamCreate;
import static org.bytedeco.cuda.global.cudart.cuStreamDestroy;
import static org.bytedeco.cuda.global.cudart.cuStreamSynchronize;
import static org.bytedeco.cuda.global.cudart.cuStreamWaitEvent;

import org.bytedeco.cuda.cudart.CUstream_st;

/**
 * A queue of work for the device, done in order; other queues wait for it only where an event says
 * so. Used by the thread that holds the context, see {@link CudaContext#enter}.
 */
final class CudaStream implements AutoCloseable {
  private final CudaContext context;
  private final CUstream_st handle = new CUstream_st();
  private final KernelArguments arguments = new KernelArguments();

  CudaStream(CudaContext context) {
    this.context = context;
    context.check(cuStreamCreate(handle, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  }

  CUstream_st handle() {
    return handle;
  }

  /** Where the arguments of the next launch are put together; the launch copies them. */
  KernelArguments arguments() {
    return arguments;
  }

  /** Waits for everything issued so far. */
  void synchronize() {
    context.check(cuStreamSynchronize(handle), "cuStreamSynchronize");
  }

  /** What is issued from now on starts after the work that the event was recorded behind. */
  void waitFor(CudaEvent event) {
    context.check(cuStreamWaitEvent(handle, event.handle(), 0), "cuStreamWaitEvent");
  }

  @Override
  public void close() {
    arguments.close();
    cuStreamDestroy(handle);
  }
}
