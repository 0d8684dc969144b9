package org.winnow.memory;

/** What {@link ExpertCounters} are made of, as it happens. Guarded by the cache's lock. */
final class ExpertTally {
  /** What became of about this many experts that were read ahead says whether it pays. */
  private static final int MIN_READ_AHEAD = 16;

  private static final int MAX_READ_AHEAD = 64;

  /** Every so many hints one is followed though it does not pay: that may have changed. */
  private static final int HINTS_PER_TRIAL = 16;

  private final boolean[] chosen; // by expert: at least once
  private long distinctExperts;
  private long peakTaken;
  private long pendingBytes;
  private long usefulBytes;
  private long wastedBytes;
  private long recentlyUseful; // experts, older ones counting less
  private long recentlyWasted;
  private int hintsIgnored;
  long demandBytesRead;
  long hits;
  long misses;
  long evictions;
  long failedReads;
  long waitNanos;

  ExpertTally(int numExperts) {
    chosen = new boolean[numExperts];
  }

  void chosen(int expert) {
    if (chosen[expert]) return;
    chosen[expert] = true;
    distinctExperts++;
  }

  void taken(int numTaken) {
    peakTaken = Math.max(peakTaken, numTaken);
  }

  /** Until {@link #used} or {@link #wasted} says what became of it. */
  void readAhead(long bytes) {
    pendingBytes += bytes;
  }

  /** Read ahead, and asked for now; 0 bytes: nothing was pending. */
  void used(long bytes) {
    pendingBytes -= bytes;
    usefulBytes += bytes;
    if (bytes > 0) recentlyUseful++;
    forgetOld();
  }

  /** Read ahead, and given up without having been asked for; 0 bytes: nothing was pending. */
  void wasted(long bytes) {
    pendingBytes -= bytes;
    wastedBytes += bytes;
    if (bytes > 0) recentlyWasted++;
    forgetOld();
  }

  private void forgetOld() {
    if (recentlyUseful + recentlyWasted <= MAX_READ_AHEAD) return;
    recentlyUseful /= 2;
    recentlyWasted /= 2;
  }

  /**
   * Whether a hint is to be followed: as long as at least half of what was read ahead was chosen.
   * Each of those saved its time, each other one cost its time and evicted an expert.
   */
  boolean followsHint() {
    boolean pays =
        recentlyWasted <= recentlyUseful || recentlyUseful + recentlyWasted < MIN_READ_AHEAD;
    if (!pays && ++hintsIgnored < HINTS_PER_TRIAL) return false;
    hintsIgnored = 0;
    return true;
  }

  /** What is pending when the cache is closed is not used any more. */
  void closed() {
    wasted(pendingBytes);
  }

  ExpertCounters counters(int numTaken, long slotBytes) {
    return new ExpertCounters(
        demandBytesRead,
        usefulBytes,
        wastedBytes,
        pendingBytes,
        hits,
        misses,
        evictions,
        failedReads,
        waitNanos,
        distinctExperts,
        numTaken,
        numTaken * slotBytes,
        peakTaken * slotBytes);
  }
}
