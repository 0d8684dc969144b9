package org.winnow.memory;

import org.winnow.TensorMemory;

/**
 * The slots of a cache, in the host's memory or a device's: where an expert's matrices lie in its
 * slot, and how they get there. Slots are told apart by the cache, which loads one slot from one
 * thread at a time.
 */
abstract class ExpertArena implements AutoCloseable {
  /** In {@code memory}, without taking it yet where the system allows. */
  static ExpertArena open(ExpertStore store, TensorMemory memory, int numSlots) {
    return memory.isHost()
        ? new HostExpertArena(store, numSlots)
        : new DeviceExpertArena(store, memory, numSlots);
  }

  /** Where a plane of the expert in a slot lies, or 0 if the expert has none. */
  abstract long address(int slot, ExpertLayout layout, ExpertRole role, int plane);

  /**
   * Brings an expert into a slot; operations issued afterwards may read it.
   *
   * @param what the expert, for errors
   * @return bytes that were read from files
   * @throws org.winnow.ExpertReadException naming the tensor, if a read fails or comes up short
   */
  abstract long load(ExpertLayout layout, int slot, String what);

  /** What {@link #release} takes where nobody knows which operations read the slots. */
  static final long UNKNOWN = -1;

  /**
   * The point that the operations issued so far reach. Waits for a thread that captures operations:
   * not to be called with a lock that such a thread may take.
   */
  abstract long mark();

  /**
   * Operations up to that point may read these slots for as long as they run; later ones do not.
   */
  abstract void release(int[] slots, int numSlots, long mark);

  /** Waits for operations and loads that are running. */
  @Override
  public abstract void close();
}
