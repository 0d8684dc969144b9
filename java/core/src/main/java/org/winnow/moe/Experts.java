package org.winnow.moe;

import org.winnow.op.ExpertMatrices;
import org.winnow.DType;

/**
 * The experts of one layer, wherever their weights are. Whoever computes with some acquires them,
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
 * <p>A thread holds the experts of at most one layer at a time, and one thread at a time those of a
 * layer; others wait. Acquiring what is resident allocates nothing.
 */
public interface Experts {
  int numExperts();

  /** Width of the experts' inputs and outputs. */
  long hiddenSize();

  /** Width of one expert's inner layer. */
  long intermediateSize();

  /** The most experts that can be acquired at once; a caller that needs more works in waves. */
  int maxPinned();

  /**
   * Whether acquiring this expert now would read nothing. A snapshot; waves begin with experts of
   * which it is true.
   */
  boolean isResident(int expert);

  /**
   * Whether every expert is resident, and stays so for as long as this is open: then a device's
   * choice of experts need not be fetched before they are computed.
   */
  default boolean isAlwaysResident() {
    return false;
  }

  /**
   * Makes experts resident and keeps them so until {@link #release()}. Where this throws, nothing
   * is held.
   *
   * @param expertIds ascending
   * @param count how many of them, at most {@link #maxPinned()}
   * @throws IllegalArgumentException if the ids are not ascending or not below {@link
   *     #numExperts()}, or there are too many
   * @throws IllegalStateException if this thread holds experts already, or after close
   * @throws org.winnow.ExpertReadException if weights cannot be read
   */
  void acquire(int[] expertIds, int count);

  /**
   * As {@link #acquire} of every expert, where {@link #isAlwaysResident()}: which of them are
   * chosen is known to the device only, and not counted. Other layers may be held meanwhile.
   *
   * @throws IllegalStateException if some are not resident, or after close
   */
  default void acquireAll() {
    throw new IllegalStateException("experts are not always resident: acquire those needed");
  }

  /**
   * Gate and up matrices [intermediateSize, hiddenSize] of the experts that are held; others are
   * absent.
   */
  ExpertMatrices gateUp();

  /**
   * Down matrices [hiddenSize, intermediateSize] of the experts that are held; others are absent.
   */
  ExpertMatrices down();

  /**
   * Ends what {@link #acquire} began, on the same thread.
   *
   * @throws IllegalStateException if this thread holds no experts of this layer
   */
  void release();

  /**
   * Says that these experts will probably be acquired next: their weights may be read ahead,
   * results never change. Does nothing where everything is resident.
   *
   * @param expertIds in falling order of probability
   * @param count how many of them
   * @throws IllegalArgumentException if an id is not below {@link #numExperts()}
   */
  void hint(int[] expertIds, int count);
}
