package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_STREAM_NON_BLOCKING;
import static org.bytedeco.cuda.global.cudart.cuStreamCreate;
import static org.bytedeco.cuda.global.cudart.cuStreamDestroy;
import static org.bytedeco.cuda.global.cudart.cuStreamSynchronize;
import static org.bytedeco.cuda.global.cudart.cuStreamWaitEvent;

import org.bytedeco.cuda.cudart.CUstream_st;

/**
 * A queue of work that the device runs in order. Only events order different streams. Used by the
 * thread that has entered the context, see {@link CudaContext#enter}.
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

  /** The buffer for the arguments of the next launch, which copies them. */
  KernelArguments arguments() {
    return arguments;
  }

  /** Waits for everything issued so far. */
  void synchronize() {
    context.check(cuStreamSynchronize(handle), "cuStreamSynchronize");
  }

  /** Makes all work issued from now on wait for the event. */
  void waitFor(CudaEvent event) {
    context.check(cuStreamWaitEvent(handle, event.handle(), 0), "cuStreamWaitEvent");
  }

  @Override
  public void close() {
    arguments.close();
    cuStreamDestroy(handle);
  }
}
