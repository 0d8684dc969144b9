package org.winnow;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import org.winnow.internal.Kernels;
import org.winnow.internal.ObservedKernels;

/**
 * How long a backend's operations take, by operation, from {@link #begin} to {@link #close}. On a
 * device the time is that which the host spends on issuing them.
 *
 * <pre>{@code
 * try (OperationProfile profile = OperationProfile.begin(backend)) {
 *   model.generate(prompt, options, listener);
 *   profile.entries().forEach(System.out::println);
 * }
 * }</pre>
 *
 * <p>Safe for use from several threads.
 */
public final class OperationProfile implements AutoCloseable {
  private final Backend backend;
  private final Kernels unobserved;
  private final Map<String, Total> totals = new ConcurrentHashMap<>();

  private record Total(LongAdder calls, LongAdder regions, LongAdder nanos) {
    Total() {
      this(new LongAdder(), new LongAdder(), new LongAdder());
    }
  }

  /**
   * What an operation took.
   *
   * @param operation its name, such as {@code "groupedGemm"}
   * @param calls how often it ran
   * @param regions how many parts of them several CPU threads shared and waited for each other at
   *     the end of; what one thread computes alone has none, as has a device
   * @param nanos wall time of all calls together
   */
  public record Entry(String operation, long calls, long regions, long nanos) {}

  private OperationProfile(Backend backend) {
    this.backend = backend;
    unobserved = backend.kernels();
    backend.install(
        ObservedKernels.of(
            unobserved,
            new ObservedKernels.Observer() {
              @Override
              public Object begin() {
                return totals;
              }

              @Override
              public void end(Object begun, String operation, long regions, long nanos) {
                Total total = totals.computeIfAbsent(operation, name -> new Total());
                total.calls.increment();
                total.regions.add(regions);
                total.nanos.add(nanos);
              }
            }));
  }

  /**
   * Begins to time the operations of a backend. Each call then takes up to a microsecond more.
   * Profiles of the same backend are closed in reverse order.
   *
   * @throws IllegalStateException if the backend is none of Winnow's own
   */
  public static OperationProfile begin(Backend backend) {
    return new OperationProfile(backend);
  }

  /** The operations that have run, the one with the most time first. */
  public List<Entry> entries() {
    return totals.entrySet().stream()
        .map(
            total ->
                new Entry(
                    total.getKey(),
                    total.getValue().calls.sum(),
                    total.getValue().regions.sum(),
                    total.getValue().nanos.sum()))
        .sorted(Comparator.comparingLong(Entry::nanos).reversed())
        .toList();
  }

  /** Ends the timing. The entries stay. */
  @Override
  public void close() {
    backend.install(unobserved);
  }
}
