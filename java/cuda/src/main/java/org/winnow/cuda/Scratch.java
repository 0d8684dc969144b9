package org.winnow.cuda;

import java.util.ArrayList;
import java.util.List;

/**
 * Device memory that the launches of one operation share, for instance partial sums. It grows to
 * the largest that was asked for. What was outgrown is released; if a captured step may hold its
 * address, only when there are none any more. Used inside the context.
 */
final class Scratch {
  private record Block(long address, long sizeBytes) {}

  private static final Block NONE = new Block(0, 0);

  private final CudaContext context;
  private final CudaMemory memory;
  private final List<Block> outgrown = new ArrayList<>(); // that captured steps may hold
  private Block block = NONE;
  private boolean captured; // the address of the block

  Scratch(CudaContext context, CudaMemory memory) {
    this.context = context;
    this.memory = memory;
  }

  /**
   * Where at least that many bytes lie, of any content; until the next call asks for more.
   *
   * @throws IllegalStateException if it must grow while a step is being captured: run the step once
   *     before
   */
  long address(long neededBytes) {
    boolean capturing = context.isCapturing();
    if (!capturing && !context.hasGraphs()) {
      captured = false;
      while (!outgrown.isEmpty()) free(outgrown.remove(outgrown.size() - 1));
    }
    if (neededBytes > block.sizeBytes) grow(neededBytes);
    captured |= capturing;
    return block.address;
  }

  private void grow(long neededBytes) {
    context.refuseInCapture("allocating device memory");
    long grownBytes = Math.max(neededBytes, block.sizeBytes + block.sizeBytes / 2);
    Block old = block;
    block = NONE;
    if (captured) outgrown.add(old);
    else free(old);
    captured = false;
    block = new Block(memory.allocate(grownBytes), grownBytes);
  }

  private void free(Block old) {
    if (old != NONE) memory.free(old.address, old.sizeBytes);
  }
}
