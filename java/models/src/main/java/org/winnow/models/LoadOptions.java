package org.winnow.models;

import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.memory.EvictionPolicy;

/**
 * How to open a model. Immutable; start from {@link #defaults()}.
 *
 * @param budget limit on the memory for experts, which is allocated as they are read. Opening fails
 *     at once if the machine has too little memory for it
 * @param evictionPolicy creates the eviction policy of the model's expert cache
 * @param readAhead whether to predict the next layer's experts and read them while this layer
 *     computes. The prediction applies the next layer's router to this layer's hidden state.
 *     Results never change
 * @param everyExpert whether to compute every expert for every token, as a dense layer does, for
 *     comparisons. Experts that were not chosen get weight 0. Results never change
 * @param activations what activations are multiplied by matrices in: f32, or bf16 to round each
 *     element to bf16 before it is multiplied, as models whose weights have 16 bits were trained
 *     and are served. Products are added in f32, and matrices that are stored in f32 multiply f32
 *     activations either way, as routers do. Norms, softmax and the residual stream are f32.
 *     Results differ between the two
 * @param backendName the backend to create, by a name that {@link Backend#require} accepts; the
 *     weights are placed in its memory
 * @param numThreads threads of that backend; 0 for one per processor
 * @param backend an open backend to use instead of creating one, or null. The caller closes it
 *     after the model
 * @param progress receives how far the opening is
 * @param cacheType type of what the key-value cache holds, f32, bf16 or f16; null for that of the
 *     activations, {@link LanguageModel#activations}. With 16 bits a token takes half the memory
 *     and attention reads half the bytes
 */
public record LoadOptions(
    ExpertBudget budget,
    Supplier<EvictionPolicy> evictionPolicy,
    boolean readAhead,
    boolean everyExpert,
    DType activations,
    String backendName,
    int numThreads,
    @Nullable Backend backend,
    LoadProgress progress,
    @Nullable DType cacheType) {
  /**
   * @throws IllegalArgumentException naming the option that is out of range
   */
  public LoadOptions {
    Objects.requireNonNull(budget, "budget");
    Objects.requireNonNull(evictionPolicy, "evictionPolicy");
    Objects.requireNonNull(backendName, "backendName");
    if (activations != DType.F32 && activations != DType.BF16)
      throw new IllegalArgumentException("activations must be f32 or bf16, found " + activations);
    Objects.requireNonNull(progress, "progress");
    if (numThreads < 0 || numThreads > CpuBackend.MAX_THREADS)
      throw new IllegalArgumentException(
          "numThreads must lie in [0, " + CpuBackend.MAX_THREADS + "], found " + numThreads);
    if (numThreads != 0 && !backendName.equals(CpuBackend.NAME))
      throw new IllegalArgumentException(
          "numThreads must be 0 for backend " + backendName + ", found " + numThreads);
    if (cacheType != null && !cacheType.isFloating())
      throw new IllegalArgumentException("cacheType must be f32, bf16 or f16, found " + cacheType);
  }

  /**
   * Memory for all experts, each read when it is first chosen; LFRU eviction; no read-ahead; bf16
   * activations; the CPU backend with all processors.
   */
  public static LoadOptions defaults() {
    return new LoadOptions(
        ExpertBudget.ALL,
        EvictionPolicy::lfru,
        false,
        false,
        DType.BF16,
        CpuBackend.NAME,
        0,
        null,
        LoadProgress.NONE,
        null);
  }

  public LoadOptions withBudget(ExpertBudget newBudget) {
    Draft draft = new Draft(this);
    draft.budget = newBudget;
    return draft.options();
  }

  public LoadOptions withEvictionPolicy(Supplier<EvictionPolicy> newPolicy) {
    Draft draft = new Draft(this);
    draft.evictionPolicy = newPolicy;
    return draft.options();
  }

  public LoadOptions withReadAhead(boolean newReadAhead) {
    Draft draft = new Draft(this);
    draft.readAhead = newReadAhead;
    return draft.options();
  }

  public LoadOptions withEveryExpert(boolean newEveryExpert) {
    Draft draft = new Draft(this);
    draft.everyExpert = newEveryExpert;
    return draft.options();
  }

  public LoadOptions withActivations(DType newActivations) {
    Draft draft = new Draft(this);
    draft.activations = newActivations;
    return draft.options();
  }

  public LoadOptions withBackendName(String newName) {
    Draft draft = new Draft(this);
    draft.backendName = newName;
    return draft.options();
  }

  public LoadOptions withThreads(int newNumThreads) {
    Draft draft = new Draft(this);
    draft.numThreads = newNumThreads;
    return draft.options();
  }

  public LoadOptions withBackend(@Nullable Backend newBackend) {
    Draft draft = new Draft(this);
    draft.backend = newBackend;
    return draft.options();
  }

  public LoadOptions withProgress(LoadProgress newProgress) {
    Draft draft = new Draft(this);
    draft.progress = newProgress;
    return draft.options();
  }

  public LoadOptions withCacheType(@Nullable DType newType) {
    Draft draft = new Draft(this);
    draft.cacheType = newType;
    return draft.options();
  }

  /** Options while one of them is changed. */
  private static final class Draft {
    private ExpertBudget budget;
    private Supplier<EvictionPolicy> evictionPolicy;
    private boolean readAhead;
    private boolean everyExpert;
    private DType activations;
    private String backendName;
    private int numThreads;
    private @Nullable Backend backend;
    private LoadProgress progress;
    private @Nullable DType cacheType;

    Draft(LoadOptions options) {
      budget = options.budget;
      evictionPolicy = options.evictionPolicy;
      readAhead = options.readAhead;
      everyExpert = options.everyExpert;
      activations = options.activations;
      backendName = options.backendName;
      numThreads = options.numThreads;
      backend = options.backend;
      progress = options.progress;
      cacheType = options.cacheType;
    }

    LoadOptions options() {
      return new LoadOptions(
          budget,
          evictionPolicy,
          readAhead,
          everyExpert,
          activations,
          backendName,
          numThreads,
          backend,
          progress,
          cacheType);
    }
  }
}
