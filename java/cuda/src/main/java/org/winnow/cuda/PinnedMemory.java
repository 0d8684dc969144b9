package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemFreeHost;
import static org.bytedeco.cuda.global.cudart.cuMemHostAlloc;

import org.bytedeco.javacpp.Pointer;

/** Page-locked host memory, which the device reads and writes directly. */
final class PinnedMemory implements AutoCloseable {
  private final Pointer pointer = new Pointer();
  private final int alignmentBytes;

  /** Allocates memory with the driver's alignment, which suits any type. */
  PinnedMemory(CudaContext context, long sizeBytes) {
    this(context, sizeBytes, 1);
  }

  /**
   * @param alignmentBytes a power of two
   * @throws OutOfMemoryError if the system cannot lock more memory
   */
  PinnedMemory(CudaContext context, long sizeBytes, int alignmentBytes) {
    this.alignmentBytes = alignmentBytes;
    String call = "cuMemHostAlloc";
    int status = cuMemHostAlloc(pointer, sizeBytes + alignmentBytes - 1, 0);
    if (status == CudaError.OUT_OF_MEMORY)
      throw CudaError.outOfMemory(
          "the system cannot lock " + sizeBytes + " bytes of memory for " + context.name(), call);
    context.check(status, call);
  }

  long address() {
    return aligned(pointer.address(), alignmentBytes);
  }

  /** The address rounded up to the alignment. */
  static long aligned(long address, int alignmentBytes) {
    return (address + alignmentBytes - 1) & -alignmentBytes;
  }

  @Override
  public void close() {
    cuMemFreeHost(pointer);
  }
}
