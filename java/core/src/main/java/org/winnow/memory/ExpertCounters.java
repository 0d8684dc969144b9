package org.winnow.memory;

/**
 * What an {@link ExpertCache} has done since it was made: a consistent snapshot.
 *
 * @param demandBytesRead bytes read because an expert was chosen and absent: the sum of {@link
 *     ExpertStore#readBytes} over misses
 * @param readAheadUsefulBytes bytes read ahead for experts that were chosen afterwards
 * @param readAheadWastedBytes bytes read ahead for experts that were evicted without having been
 *     chosen
 * @param readAheadPendingBytes bytes read ahead for resident experts that have not been chosen yet
 * @param hits chosen experts that were resident, or on their way by a read-ahead that had begun
 * @param misses chosen experts that had to be read
 * @param evictions experts that made room for another
 * @param failedReads reads that failed or came up short; their bytes are not counted
 * @param waitNanos time that callers spent in acquire for weights to arrive
 * @param distinctExperts experts that were chosen at least once
 * @param residentExperts experts whose slots are taken now
 * @param residentBytes bytes of the slots that are taken now
 * @param peakResidentBytes the most that this has been
 */
public record ExpertCounters(
    long demandBytesRead,
    long readAheadUsefulBytes,
    long readAheadWastedBytes,
    long readAheadPendingBytes,
    long hits,
    long misses,
    long evictions,
    long failedReads,
    long waitNanos,
    long distinctExperts,
    long residentExperts,
    long residentBytes,
    long peakResidentBytes) {

  /** Hits as a share of all chosen experts; 0 before the first. */
  public double hitRate() {
    return hits + misses == 0 ? 0 : (double) hits / (hits + misses);
  }
}
