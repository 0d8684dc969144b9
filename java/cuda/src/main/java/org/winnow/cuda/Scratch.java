package org.winnow.cuda;

import java.util.ArrayList;
import java.util.List;
import org.winnow.Workspace;

/**
 * Device memory that the launches of one operation share, for instance for partial sums. It grows
 * to the largest requested size and then releases the old block. A block whose address captured
 * steps may contain is kept until there are no captured steps. Used inside the context, where no
 * {@link Workspace} may close its tensor.
 */
final class Scratch {
  private record Block(long address, long sizeBytes) {}

  private static final Block NONE = new Block(0, 0);

  private final CudaContext context;
  private final CudaMemory memory;
  private final List<Block> outgrown = new ArrayList<>(); // old blocks that captured steps may use
  private Block block = NONE;
  private boolean captured; // whether a captured step may use the block

  Scratch(CudaContext context, CudaMemory memory) {
    this.context = context;
    this.memory = memory;
  }

  /**
   * Address of at least so many bytes with undefined content, valid until a call requests more.
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
    long grownBytes = Workspace.grown(block.sizeBytes, neededBytes);
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
