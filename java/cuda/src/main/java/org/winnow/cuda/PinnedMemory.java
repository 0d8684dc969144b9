package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemFreeHost;
import static org.bytedeco.cuda.global.cudart.cuMemHostAlloc;

import org.bytedeco.javacpp.Pointer;

/** Host memory that the system does not move, which the device copies from and to on its own. */
final class PinnedMemory implements AutoCloseable {
  private final Pointer pointer = new Pointer();
  private final int alignmentBytes;

  /** Aligned as the driver does it, for any type. */
  PinnedMemory(CudaContext context, long sizeBytes) {
    this(context, sizeBytes, 1);
  }

  /**
   * @param alignmentBytes a power of two
   * @throws OutOfMemoryError if the system locks no more
   */
  PinnedMemory(CudaContext context, long sizeBytes, int alignmentBytes) {
    this.alignmentBytes = alignmentBytes;
    String call = "cuMemHostAlloc";
    int status = cuMemHostAlloc(pointer, sizeBytes + alignmentBytes - 1, 0);
    if (status == CudaError.OUT_OF_MEMORY)
      throw CudaError.outOfMemory(
          "the system locks no " + sizeBytes + " bytes of memory for " + context.name(), call);
    context.check(status, call);
  }

  long address() {
    return aligned(pointer.address(), alignmentBytes);
  }

  /** The first multiple of the alignment from there on. */
  static long aligned(long address, int alignmentBytes) {
    return (address + alignmentBytes - 1) & -alignmentBytes;
  }

  @Override
  public void close() {
    cuMemFreeHost(pointer);
  }
}
