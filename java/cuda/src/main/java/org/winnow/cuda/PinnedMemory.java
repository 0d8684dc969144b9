package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemFreeHost;
import static org.bytedeco.cuda.global.cudart.cuMemHostAlloc;

import org.bytedeco.javacpp.Pointer;

/** Host memory that the system does not move, which the device copies from and to on its own. */
final class PinnedMemory implements AutoCloseable {
  private final Pointer pointer = new Pointer();
  private final long sizeBytes;

  PinnedMemory(CudaContext context, long sizeBytes) {
    this.sizeBytes = sizeBytes;
    context.check(cuMemHostAlloc(pointer, sizeBytes, 0), "cuMemHostAlloc");
  }

  long address() {
    return pointer.address();
  }

  long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public void close() {
    cuMemFreeHost(pointer);
  }
}
