package org.winnow.cuda;

import org.winnow.InvalidLogitsException;

/**
 * What operations that nobody waits for were refused, those of captured steps above all: each kind
 * has a cell, whose kernels keep the first refusal in it. They are reported, and forgotten, when
 * the host next waits for a token; the cells lie beside it, so that one copy reads all.
 */
final class LateRefusals {
  private static final int TOKEN = 0;
  private static final int EMBEDDING = 1;
  private static final int PLAN = 2;
  private static final int ROUTER = 3;
  private static final int NUM_CELLS = 4;

  private final ReadBack cells;

  LateRefusals(CudaContext context, CudaMemory memory) {
    cells = new ReadBack(context, memory, NUM_CELLS);
  }

  /** Where {@link CudaSampler} writes the token. */
  long tokenAddress() {
    return cells.address(TOKEN);
  }

  long embeddingAddress() {
    return cells.address(EMBEDDING);
  }

  long planAddress() {
    return cells.address(PLAN);
  }

  long routerAddress() {
    return cells.address(ROUTER);
  }

  /**
   * Waits for the token and returns it.
   *
   * @throws IllegalArgumentException naming the first token id or expert id that was refused since
   *     the last call
   * @throws InvalidLogitsException naming the first token whose logits were
   */
  long awaitToken(CudaStream stream) {
    cells.read(stream);
    int embedding = cells.getInt(EMBEDDING);
    int plan = cells.getInt(PLAN);
    int router = cells.getInt(ROUTER);
    if (embedding == 0 && plan == 0 && router == 0) return cells.getLong(TOKEN);
    cells.clear(stream);
    if (embedding != 0)
      throw new IllegalArgumentException(
          "tokenIds of a captured step must lie in the table, found one outside at index "
              + CudaEmbedding.firstWrong(embedding));
    if (router != 0) throw new InvalidLogitsException(CudaTopKRouter.firstRefused(router));
    throw new IllegalArgumentException(
        CudaExpertPlan.areOffsetsWrong(plan)
            ? "tokenOffsets of a plan that was not waited for must ascend from 0 to its pairs"
            : "expertIds of a plan that was not waited for must lie below its numExperts, found one"
                + " outside at pair "
                + CudaExpertPlan.firstWrong(plan));
  }
}
