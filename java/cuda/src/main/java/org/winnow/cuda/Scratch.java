package org.winnow.cuda;

import org.winnow.TensorMemory;

/**
 * Device memory that the launches of one operation share, for instance partial sums. It grows to
 * the largest that was asked for. What was outgrown stays: a captured step may hold its address.
 */
final class Scratch {
  private final TensorMemory memory;
  private long address;
  private long sizeBytes;

  Scratch(TensorMemory memory) {
    this.memory = memory;
  }

  /**
   * Where at least that many bytes lie, of any content; until the next call asks for more.
   *
   * @throws IllegalStateException if it must grow while a step is being captured: run the step once
   *     before
   */
  long address(long neededBytes) {
    if (neededBytes > sizeBytes) {
      long grownBytes = Math.max(neededBytes, 2 * sizeBytes);
      address = memory.allocate(grownBytes);
      sizeBytes = grownBytes;
    }
    return address;
  }
}
