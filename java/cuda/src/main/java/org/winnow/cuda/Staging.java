package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuMemcpyHtoDAsync;

import org.bytedeco.javacpp.Pointer;

/**
 * Pinned memory for copies from the host. A call copies the caller's bytes to a slot and enqueues
 * the copy to the device, so the caller may change its bytes at once. A call waits for earlier work
 * only if all slots are in use.
 */
final class Staging implements AutoCloseable {
  private static final int NUM_SLOTS = 8;
  private static final long SLOT_BYTES = 512 << 10;

  private final CudaContext context;
  private final PinnedMemory memory;
  private final CudaEvent[] copied = new CudaEvent[NUM_SLOTS];
  private int next;

  Staging(CudaContext context) {
    this.context = context;
    memory = new PinnedMemory(context, NUM_SLOTS * SLOT_BYTES);
    for (int slot = 0; slot < NUM_SLOTS; slot++) copied[slot] = new CudaEvent(context);
  }

  /** Enqueues the copy. The caller may change its bytes when this returns. */
  void copyToDevice(CudaStream stream, long address, long hostAddress, long sizeBytes) {
    for (long done = 0; done < sizeBytes; done += SLOT_BYTES) {
      long part = Math.min(SLOT_BYTES, sizeBytes - done);
      HostPointer slot = new HostPointer(memory.address() + next * SLOT_BYTES);
      copied[next].synchronize();
      Pointer.memcpy(slot, new HostPointer(hostAddress + done), part);
      context.check(
          cuMemcpyHtoDAsync(address + done, slot, part, stream.handle()), "cuMemcpyHtoDAsync");
      copied[next].record(stream);
      next = (next + 1) % NUM_SLOTS;
    }
  }

  @Override
  public void close() {
    for (CudaEvent event : copied) event.close();
    memory.close();
  }
}
