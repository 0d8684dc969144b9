package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemcpyDtoHAsync;
import static org.bytedeco.cuda.global.cudart.cuMemsetD8Async;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;

/**
 * A cell of device memory that a kernel writes a result into for the host, zero at first, and its
 * reading: what makes an operation wait. One per operation, used inside the context.
 */
final class ReadBack {
  private final CudaContext context;
  private final long address;
  private final BytePointer pinned;
  private final ByteBuffer value;

  ReadBack(CudaContext context, CudaMemory memory) {
    this.context = context;
    address = memory.allocate(Long.BYTES);
    pinned = memory.pin(Long.BYTES);
    value = pinned.asByteBuffer().order(ByteOrder.nativeOrder());
  }

  /** Of the cell, 8 bytes, aligned to 8. */
  long address() {
    return address;
  }

  /**
   * Waits for the stream.
   *
   * @throws IllegalStateException if a step is being captured
   */
  int readInt(CudaStream stream) {
    read(stream, Integer.BYTES);
    return value.getInt(0);
  }

  /** As {@link #readInt}, of 8 bytes. */
  long readLong(CudaStream stream) {
    read(stream, Long.BYTES);
    return value.getLong(0);
  }

  /** Sets the cell to 0 again, after the operations so far. */
  void clear(CudaStream stream) {
    context.check(
        cuMemsetD8Async(address, (byte) 0, Long.BYTES, stream.handle()), "cuMemsetD8Async");
  }

  private void read(CudaStream stream, int sizeBytes) {
    context.refuseInCapture("waiting for a result of the device");
    context.check(
        cuMemcpyDtoHAsync(pinned, address, sizeBytes, stream.handle()), "cuMemcpyDtoHAsync");
    stream.synchronize();
  }
}
