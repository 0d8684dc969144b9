package org.winnow.cuda;

import org.winnow.InvalidLogitsException;

/**
 * Errors of asynchronous operations, mainly of captured steps. Each kind of error has one device
 * cell, in which kernels record the first error. When the host next waits for a token, it throws
 * the recorded errors and clears the cells. The token has a cell of the same block, so that one
 * copy reads all.
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

  /** Address of the cell in which {@link CudaSampler} writes the token. */
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
   * @throws IllegalArgumentException naming the first wrong token id or expert id since the last
   *     call
   * @throws InvalidLogitsException naming the first token with wrong logits since the last call
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
