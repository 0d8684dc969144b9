package org.winnow.memory;

import java.util.Objects;

/** Ranks by the number of uses, then by the order of last uses. */
final class LfuPolicy implements EvictionPolicy {
  private static final double CLOCK_UNIT =
      0x1p-40; // one use outweighs any clock; beyond 8192 uses the last bits of the clock are
  // rounded off

  private long[] uses = {};
  private long[] lastUse = {};
  private long clock;

  @Override
  public void begin(int numExperts) {
    uses = new long[LruPolicy.requireCount(numExperts)];
    lastUse = new long[numExperts];
  }

  @Override
  public void used(int expert, long pass) {
    uses[Objects.checkIndex(expert, uses.length)]++;
    lastUse[expert] = ++clock;
  }

  @Override
  public double rank(int expert) {
    return uses[Objects.checkIndex(expert, uses.length)] + lastUse[expert] * CLOCK_UNIT;
  }
}
