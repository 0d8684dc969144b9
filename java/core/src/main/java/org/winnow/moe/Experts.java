package org.winnow.moe;

import org.winnow.op.ExpertMatrices;

/**
 * The experts of one layer. Their weights may be in memory or on disk. A caller acquires experts,
 * computes with their matrices, and releases them:
 *
 * <pre>{@code
 * experts.acquire(expertIds, count);
 * try {
 *   ... experts.gateUp() ... experts.down() ...
 * } finally {
 *   experts.release();
 * }
 * }</pre>
 *
 * <p>A thread holds acquired experts until it releases them. It can hold experts of one layer at a
 * time. Only one thread at a time can hold experts of a layer; others wait. Acquiring resident
 * experts allocates nothing.
 */
public interface Experts {
  int numExperts();

  /** Width of the experts' inputs and outputs. */
  long hiddenSize();

  /** Width of an expert's inner layer. */
  long intermediateSize();

  /**
   * The maximum number of experts that can be acquired at once. A caller that needs more works in
   * several waves.
   */
  int maxPinned();

  /**
   * Whether this expert's weights are in memory, so that acquiring it now would read nothing. The
   * answer may change at any time.
   */
  boolean isResident(int expert);

  /**
   * Whether every expert stays resident until this is closed. A device can then compute the experts
   * it has chosen without telling the host.
   */
  default boolean isAlwaysResident() {
    return false;
  }

  /**
   * Makes experts resident and keeps them resident until {@link #release()}. If this throws, no
   * expert is held.
   *
   * @param expertIds ascending
   * @param count number of ids to use, at most {@link #maxPinned()}
   * @throws IllegalArgumentException if the ids do not ascend, an id is not below {@link
   *     #numExperts()}, or there are too many
   * @throws IllegalStateException if this thread already holds experts, or this is closed
   * @throws org.winnow.ExpertReadException if weights cannot be read
   */
  void acquire(int[] expertIds, int count);

  /**
   * Acquires every expert, if {@link #isAlwaysResident()}. Only the device knows which experts are
   * chosen, so hits are not counted. The thread may hold other layers at the same time.
   *
   * @throws IllegalStateException if an expert is not resident, or this is closed
   */
  default void acquireAll() {
    throw new IllegalStateException("experts are not always resident: acquire those needed");
  }

  /**
   * Gate and up matrices [intermediateSize, hiddenSize] of the held experts; other experts are
   * absent.
   */
  ExpertMatrices gateUp();

  /** Down matrices [hiddenSize, intermediateSize] of the held experts; other experts are absent. */
  ExpertMatrices down();

  /**
   * Releases the acquired experts, on the thread that acquired them.
   *
   * @throws IllegalStateException if this thread holds no experts of this layer
   */
  void release();

  /**
   * Announces experts that will probably be acquired next, so that their weights can be read ahead.
   * A hint never changes results. Does nothing if all experts are resident.
   *
   * @param expertIds in descending order of probability
   * @param count number of ids to use
   * @throws IllegalArgumentException if an id is not below {@link #numExperts()}
   */
  void hint(int[] expertIds, int count);
}
