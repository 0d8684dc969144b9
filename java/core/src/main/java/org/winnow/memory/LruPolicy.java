package org.winnow.memory;

import java.util.Objects;

/**
 * Ranks by the order of last uses across layers. Where fewer experts fit than one token uses in all
 * layers, it evicts each just before its layer comes again.
 */
final class LruPolicy implements EvictionPolicy {
  private long[] lastUse = {};
  private long clock;

  @Override
  public void begin(int numExperts) {
    lastUse = new long[requireCount(numExperts)];
  }

  @Override
  public void used(int expert, long pass) {
    lastUse[Objects.checkIndex(expert, lastUse.length)] = ++clock;
  }

  @Override
  public double rank(int expert) {
    return lastUse[Objects.checkIndex(expert, lastUse.length)];
  }

  /** For all policies: the number that {@link #begin} is given. */
  static int requireCount(int numExperts) {
    if (numExperts < 0)
      throw new IllegalArgumentException("numExperts must not be negative, found " + numExperts);
    return numExperts;
  }
}
