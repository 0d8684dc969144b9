package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemcpyDtoHAsync;
import static org.bytedeco.cuda.global.cudart.cuMemsetD8Async;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;

/**
 * Cells of device memory, 8 bytes each, that kernels write results into for the host, zero at
 * first, and their reading: what makes an operation wait. Used inside the context.
 */
final class ReadBack {
  private final CudaContext context;
  private final long address;
  private final int sizeBytes;
  private final BytePointer pinned;
  private final ByteBuffer values;

  ReadBack(CudaContext context, CudaMemory memory, int numCells) {
    this.context = context;
    sizeBytes = numCells * Long.BYTES;
    address = memory.allocate(sizeBytes);
    pinned = memory.pin(sizeBytes);
    values = pinned.asByteBuffer().order(ByteOrder.nativeOrder());
  }

  /** Of a cell, aligned to 8. */
  long address(int cell) {
    return address + (long) cell * Long.BYTES;
  }

  /**
   * Waits for the stream, and reads all cells.
   *
   * @throws IllegalStateException if a step is being captured
   */
  void read(CudaStream stream) {
    context.refuseInCapture("waiting for a result of the device");
    context.check(
        cuMemcpyDtoHAsync(pinned, address, sizeBytes, stream.handle()), "cuMemcpyDtoHAsync");
    stream.synchronize();
  }

  /** What a cell held at the last {@link #read}. */
  long getLong(int cell) {
    return values.getLong(cell * Long.BYTES);
  }

  /** As {@link #getLong}, of the first 4 bytes. */
  int getInt(int cell) {
    return values.getInt(cell * Long.BYTES);
  }

  /** As {@link #getInt(int)}, of the 4 bytes at an offset in the cell. */
  int getInt(int cell, int offsetBytes) {
    return values.getInt(cell * Long.BYTES + offsetBytes);
  }

  /** Sets the cells to 0 again, after the operations so far. */
  void clear(CudaStream stream) {
    context.check(
        cuMemsetD8Async(address, (byte) 0, sizeBytes, stream.handle()), "cuMemsetD8Async");
  }
}
