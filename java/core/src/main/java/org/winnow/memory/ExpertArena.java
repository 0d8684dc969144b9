package org.winnow.memory;

import org.winnow.TensorMemory;

/**
 * The slots of a cache, in the host's memory or a device's: where an expert's matrices lie in its
 * slot, and how they get there. The cache knows what a slot holds, and loads a slot from one thread
 * at a time.
 */
abstract class ExpertArena implements AutoCloseable {
  /**
   * Makes slots in {@code memory}. Where the system allows, they take it only when they are first
   * used.
   */
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

  /** Whether slots take their memory when they are first used, unless {@link #populate} does. */
  boolean takesMemoryLate() {
    return false;
  }

  /** Takes a slot's memory from the system before its first use; its contents stay. A hint. */
  void populate(int slot) {}

  /** The point to give {@link #release} if it is not known which operations read the slots. */
  static final long UNKNOWN = -1;

  /**
   * The point that the operations issued so far reach. Waits for a thread that captures operations,
   * so do not call this while holding a lock that such a thread may take.
   */
  abstract long mark();

  /**
   * Gives up slots. Operations up to that point may still read them while they run; later ones do
   * not.
   */
  abstract void release(int[] slots, int numSlots, long mark);

  /** Waits for operations and loads that are running. */
  @Override
  public abstract void close();
}
