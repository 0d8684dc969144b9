package org.winnow.models;

import java.util.Objects;
import java.util.function.Supplier;
import org.winnow.Backend;
import org.winnow.cpu.CpuBackend;
import org.winnow.memory.EvictionPolicy;

/**
 * How to open a model. Immutable; start from {@link #defaults()}.
 *
 * @param budget memory that experts may take; it is used as they are read, and refused at once if
 *     the machine does not have it
 * @param evictionPolicy makes the policy of the model's expert cache
 * @param readAhead whether to guess the next layer's experts by its router and this layer's hidden
 *     state, and to read them while this layer computes. Results never change
 * @param everyExpert whether to compute every expert for every token, those that were not chosen
 *     with weight 0, as a dense layer does: to compare with. Results never change
 * @param backendName the model's own backend, as {@link Backend#require} takes it; weights lie in
 *     its memory
 * @param numThreads of the model's own backend; 0 for as many as the machine has processors
 * @param backend computes instead of one of the model's own, or null; it stays the caller's, open
 *     for as long as the model
 */
public record LoadOptions(
    ExpertBudget budget,
    Supplier<EvictionPolicy> evictionPolicy,
    boolean readAhead,
    boolean everyExpert,
    String backendName,
    int numThreads,
    Backend backend) {
  /**
   * @throws IllegalArgumentException naming the option that is out of range
   */
  public LoadOptions {
    Objects.requireNonNull(budget, "budget");
    Objects.requireNonNull(evictionPolicy, "evictionPolicy");
    Objects.requireNonNull(backendName, "backendName");
    if (numThreads < 0 || numThreads > CpuBackend.MAX_THREADS)
      throw new IllegalArgumentException(
          "numThreads must lie in [0, " + CpuBackend.MAX_THREADS + "], found " + numThreads);
    if (numThreads != 0 && !backendName.equals(CpuBackend.NAME))
      throw new IllegalArgumentException(
          "numThreads must be 0 for backend " + backendName + ", found " + numThreads);
  }

  /**
   * Room for all experts, read as they are chosen; LFRU; no read-ahead; the CPU, all processors.
   */
  public static LoadOptions defaults() {
    return new LoadOptions(
        ExpertBudget.ALL, EvictionPolicy::lfru, false, false, CpuBackend.NAME, 0, null);
  }

  public LoadOptions withBudget(ExpertBudget newBudget) {
    return new LoadOptions(
        newBudget, evictionPolicy, readAhead, everyExpert, backendName, numThreads, backend);
  }

  public LoadOptions withEvictionPolicy(Supplier<EvictionPolicy> newPolicy) {
    return new LoadOptions(
        budget, newPolicy, readAhead, everyExpert, backendName, numThreads, backend);
  }

  public LoadOptions withReadAhead(boolean newReadAhead) {
    return new LoadOptions(
        budget, evictionPolicy, newReadAhead, everyExpert, backendName, numThreads, backend);
  }

  public LoadOptions withEveryExpert(boolean newEveryExpert) {
    return new LoadOptions(
        budget, evictionPolicy, readAhead, newEveryExpert, backendName, numThreads, backend);
  }

  public LoadOptions withBackendName(String newName) {
    return new LoadOptions(
        budget, evictionPolicy, readAhead, everyExpert, newName, numThreads, backend);
  }

  public LoadOptions withThreads(int newNumThreads) {
    return new LoadOptions(
        budget, evictionPolicy, readAhead, everyExpert, backendName, newNumThreads, backend);
  }

  public LoadOptions withBackend(Backend newBackend) {
    return new LoadOptions(
        budget, evictionPolicy, readAhead, everyExpert, backendName, numThreads, newBackend);
  }
}
