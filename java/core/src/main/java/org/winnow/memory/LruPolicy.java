package org.winnow.memory;

/**
 * Ranks by the order of last uses across layers. Where fewer experts fit than one token uses in all
 * layers, it evicts each just before its layer comes again.
 */
final class LruPolicy implements EvictionPolicy {
  private long[] lastUse;
  private long clock;

  @Override
  public void begin(int numExperts) {
    lastUse = new long[numExperts];
  }

  @Override
  public void used(int expert, long pass) {
    lastUse[expert] = ++clock;
  }

  @Override
  public double rank(int expert) {
    return lastUse[expert];
  }
}
