package org.winnow.memory;

/**
 * Decides which resident expert makes room for one that was chosen. A policy is told of every
 * expert that is asked for, resident or not, and ranks them. The {@link ExpertCache} evicts the
 * lowest that is not pinned. A policy never changes which experts run. One instance serves one
 * cache, which calls it from one thread at a time.
 *
 * <p>Experts are numbered across layers. Time is counted in passes: how often experts were asked
 * for in the expert's layer, about one pass per token when decoding.
 */
public interface EvictionPolicy {
  /**
   * Called once, before anything else, with the number of experts of all layers.
   *
   * @throws IllegalArgumentException if the number is negative
   */
  void begin(int numExperts);

  /**
   * An expert is asked for. The same expert is asked for at most once per pass.
   *
   * @throws IndexOutOfBoundsException unless the expert is below the number given to {@link #begin}
   */
  void used(int expert, long pass);

  /**
   * The rank of an expert: the lowest is evicted first.
   *
   * @throws IndexOutOfBoundsException unless the expert is below the number given to {@link #begin}
   */
  double rank(int expert);

  /** Least recently used first. */
  static EvictionPolicy lru() {
    return new LruPolicy();
  }

  /** Least often used first, since the cache was made; among equals the least recently used. */
  static EvictionPolicy lfu() {
    return new LfuPolicy();
  }

  /**
   * Least frequency-weighted recency first, with a half-life of {@value
   * LfruPolicy#DEFAULT_HALF_LIFE_PASSES} passes.
   */
  static EvictionPolicy lfru() {
    return lfru(LfruPolicy.DEFAULT_HALF_LIFE_PASSES);
  }

  /**
   * Least frequency-weighted recency first: each use counts 1 and fades to a half in {@code
   * halfLifePasses}.
   *
   * @throws IllegalArgumentException if the half-life is not positive
   */
  static EvictionPolicy lfru(double halfLifePasses) {
    return new LfruPolicy(halfLifePasses);
  }
}
