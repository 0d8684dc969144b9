package org.winnow.memory;

/** What {@link ExpertCounters} are made of, as it happens. Guarded by the cache's lock. */
final class ExpertTally {
  private final boolean[] chosen; // by expert: at least once
  private long distinctExperts;
  private long peakTaken;
  private long pendingBytes;
  private long usefulBytes;
  private long wastedBytes;
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
  }

  /** Read ahead, and given up without having been asked for; 0 bytes: nothing was pending. */
  void wasted(long bytes) {
    pendingBytes -= bytes;
    wastedBytes += bytes;
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
