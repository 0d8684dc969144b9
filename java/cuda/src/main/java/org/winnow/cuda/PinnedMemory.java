package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemFreeHost;
import static org.bytedeco.cuda.global.cudart.cuMemHostAlloc;

import org.bytedeco.javacpp.Pointer;

/** Host memory that the system does not move, which the device copies from and to on its own. */
final class PinnedMemory implements AutoCloseable {
  private final Pointer pointer = new Pointer();

  /**
   * @throws OutOfMemoryError if the system locks no more
   */
  PinnedMemory(CudaContext context, long sizeBytes) {
    String call = "cuMemHostAlloc";
    int status = cuMemHostAlloc(pointer, sizeBytes, 0);
    if (status == CudaError.OUT_OF_MEMORY)
      throw CudaError.outOfMemory(
          "the system locks no " + sizeBytes + " bytes of memory for " + context.name(), call);
    context.check(status, call);
  }

  long address() {
    return pointer.address();
  }

  @Override
  public void close() {
    cuMemFreeHost(pointer);
  }
}
