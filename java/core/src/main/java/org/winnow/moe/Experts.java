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
   * As {@link #acquire}, but may return while some of the experts are still being read. The caller
   * computes those it has, and asks for the others with {@link #awaitMore}:
   *
   * <pre>{@code
   * int numReady = experts.acquireAsRead(expertIds, count, ready);
   * for (int numDone = numReady; ; numDone += numReady) {
   *   ... compute ready[0 .. numReady) ...
   *   if (numDone == count) break;
   *   numReady = experts.awaitMore(ready);
   * }
   * }</pre>
   *
   * <p>All count as held from the start. The default waits for all of them.
   *
   * @param expertIds as in {@link #acquire}
   * @param count as in {@link #acquire}
   * @param ready overwritten with the experts that are resident now, ascending; of at least {@code
   *     count} elements, and not the array of the ids
   * @return how many they are, at least 1 unless the count is 0
   * @throws IllegalArgumentException as {@link #acquire}
   * @throws IllegalStateException as {@link #acquire}
   * @throws org.winnow.ExpertReadException if weights cannot be read; then no expert is held
   */
  default int acquireAsRead(int[] expertIds, int count, int[] ready) {
    if (ready == expertIds || ready.length < count)
      throw new IllegalArgumentException(
          "ready must be another array of at least " + count + ", found " + ready.length);
    acquire(expertIds, count);
    System.arraycopy(expertIds, 0, ready, 0, count);
    return count;
  }

  /**
   * Waits until more of the experts are resident that {@link #acquireAsRead} began to acquire. If
   * this throws, the experts are held until {@link #release()}.
   *
   * @param ready overwritten with those that neither call has returned yet, ascending
   * @return how many they are: 0 if all have been returned
   * @throws IllegalStateException if this thread holds no experts of this layer
   * @throws org.winnow.ExpertReadException if weights cannot be read
   */
  default int awaitMore(int[] ready) {
    return 0;
  }

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
   * A hint never changes results. Does nothing if all experts are resident. An expert cache follows
   * hints only while at least half of the experts that it reads ahead are acquired.
   *
   * @param expertIds in descending order of probability
   * @param count number of ids to use
   * @throws IllegalArgumentException if an id is not below {@link #numExperts()}
   */
  void hint(int[] expertIds, int count);
}
