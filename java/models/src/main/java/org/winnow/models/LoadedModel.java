package org.winnow.models;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.BudgetException;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.attention.MlaWorkspace;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.layer.FeedForward;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.ExpertCounters;
import org.winnow.memory.ExpertStore;
import org.winnow.moe.MoeLayer;
import org.winnow.op.KvCache;
import org.winnow.op.Routing;

/**
 * Everything that an open model owns, from its files to its decoder. Opening checks all tensors
 * before it reads one. If opening fails, it closes everything that it opened.
 */
final class LoadedModel implements AutoCloseable {
  private static final int PAGE_BYTES = 4096; // on x86-64

  private final Deque<AutoCloseable> open = new ArrayDeque<>(); // last opened first
  private final ModelConfig config;
  private final DecoderSpec spec;
  private final DType activations;
  private final DType cacheType;
  private final DecoderWeights weights;
  private final @Nullable ExpertCache cache; // null for a dense model
  private final Backend backend;
  private final Decoder decoder;

  /**
   * @throws CheckpointException if a file or tensor is missing or wrong
   */
  static LoadedModel open(Path folder, LoadOptions options) {
    return new LoadedModel(folder, options);
  }

  private LoadedModel(Path folder, LoadOptions options) {
    try {
      backend = options.backend() != null ? options.backend() : keep(newBackend(options));
      DecoderPlan plan = keep(DecoderPlan.of(folder, backend));
      config = plan.config();
      spec = plan.spec();
      ExpertStore store = plan.experts();
      TensorMemory memory = backend.memory();
      long fullBytes = store == null ? 0 : store.fullBudgetBytes(memory);
      long budgetBytes = store == null ? 0 : options.budget().resolveBytes(fullBytes);
      requireMemory(memory, plan.residentBytes() + Math.min(budgetBytes, fullBytes));
      cache =
          store == null
              ? null
              : keep(
                  new ExpertCache(
                      store,
                      memory,
                      budgetBytes,
                      options.evictionPolicy().get(),
                      options.activations()));
      weights =
          keep(
              DecoderWeights.read(
                  plan.checkpoint(), spec, backend, options.activations(), options.progress()));
      activations = plan.activations(options.activations());
      cacheType = options.cacheType() == null ? activations : options.cacheType();
      decoder =
          keep(
              new Decoder(
                  backend, spec, weights, layers(options.everyExpert()), options.readAhead()));
    } catch (RuntimeException | Error e) {
      try {
        close();
      } catch (RuntimeException | Error other) {
        e.addSuppressed(other);
      }
      throw e;
    }
  }

  private <T extends AutoCloseable> T keep(T opened) {
    open.push(opened);
    return opened;
  }

  private static Backend newBackend(LoadOptions options) {
    if (!options.backendName().equals(CpuBackend.NAME))
      return Backend.require(options.backendName());
    return options.numThreads() == 0
        ? new CpuBackend()
        : new CpuBackend(InstructionSet.best(), options.numThreads());
  }

  /**
   * Fails at once if the expert budget and all other weights exceed the memory, of which this
   * process uses a part already. Otherwise the system would end the process when the budget is
   * full, or an expert would not fit on the device, perhaps hours later. Key-value caches and
   * working memory are not counted: their size is not known yet.
   */
  private static void requireMemory(TensorMemory memory, long neededBytes) {
    if (!memory.isHost()) {
      if (neededBytes > memory.availableBytes())
        throw new BudgetException(
            "memory for the expert budget and all other weights (a smaller budget needs less)",
            neededBytes,
            memory.availableBytes());
      return;
    }
    long totalBytes = // the container's limit, if it has one
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize();
    long usedBytes = residentBytes();
    if (neededBytes > totalBytes - usedBytes)
      throw new BudgetException(
          "memory of this machine or container, of which this process uses "
              + usedBytes
              + " bytes already, for the expert budget and all other weights (a smaller budget"
              + " needs less)",
          neededBytes + usedBytes,
          totalBytes);
  }

  /** Bytes of memory that this process uses, Java included; 0 if the system does not say. */
  private static long residentBytes() {
    try {
      String pages = Files.readString(Path.of("/proc/self/statm")).split(" ")[1];
      return Long.parseLong(pages) * PAGE_BYTES;
    } catch (IOException e) {
      return 0;
    }
  }

  private List<Decoder.Layer> layers(boolean everyExpert) {
    GroupedQueryBlock.Scratch scratch = keep(new GroupedQueryBlock.Scratch(backend.memory()));
    MlaWorkspace workspace = keep(new MlaWorkspace());
    List<Decoder.Layer> layers = new ArrayList<>();
    int expertLayer = 0;
    for (int i = 0; i < spec.layers().size(); i++) {
      DecoderSpec.Layer layer = spec.layers().get(i);
      AttentionBlock attention =
          keep(
              layer.attention() instanceof DecoderSpec.LatentAttention latent
                  ? new LatentBlock(latent, i, spec.epsilon(), weights, workspace)
                  : new GroupedQueryBlock(
                      (DecoderSpec.GroupedQueryAttention) layer.attention(),
                      i,
                      spec.epsilon(),
                      weights,
                      scratch));
      MlpBlock mlp =
          layer.mlp() instanceof DecoderSpec.ExpertMlp experts
              ? experts(experts, expertLayer++, everyExpert)
              : new MlpBlock.Dense(feedForward((DecoderSpec.DenseMlp) layer.mlp()));
      layers.add(
          new Decoder.Layer(
              weights.get(layer.attentionNorm().name()),
              attention,
              weights.get(layer.mlpNorm().name()),
              mlp));
    }
    return layers;
  }

  private ExpertBlock experts(DecoderSpec.ExpertMlp spec, int expertLayer, boolean everyExpert) {
    Tensor correctionBias = weights.getOrNull(spec.correctionBias());
    if (correctionBias != null) spec.rule().correctionBias(correctionBias);
    MoeLayer.Builder builder =
        MoeLayer.builder(
                weights.router(spec.router()),
                spec.rule().build(),
                Objects.requireNonNull(cache).layer(expertLayer))
            .activation(spec.activation())
            .everyExpert(everyExpert);
    FeedForward shared = spec.shared() == null ? null : feedForward(spec.shared());
    if (shared != null) builder.shared(shared);
    if (spec.sharedGate() != null) builder.sharedGate(weights.linear(spec.sharedGate()));
    return new ExpertBlock(keep(builder.build()), keep(new Routing(backend.memory())));
  }

  private FeedForward feedForward(DecoderSpec.DenseMlp spec) {
    weights.widenUnlike(spec.gate().weight(), spec.up().weight());
    return keep(
        new FeedForward(
            weights.linear(spec.gate()),
            weights.linear(spec.up()),
            weights.linear(spec.down()),
            spec.activation()));
  }

  ModelConfig config() {
    return config;
  }

  DecoderSpec spec() {
    return spec;
  }

  /** The cache of an empty sequence. The caller closes it. */
  KvCache newKvCache() {
    return spec.newKvCache(backend.memory(), cacheType);
  }

  DType cacheType() {
    return cacheType;
  }

  long cacheBytesPerToken() {
    return spec.cacheElementsPerToken() * cacheType.sizeBytes();
  }

  Backend backend() {
    return backend;
  }

  /** See {@link LanguageModel#activations}. */
  DType activations() {
    return activations;
  }

  Decoder decoder() {
    return decoder;
  }

  @Nullable ExpertCounters expertCounters() {
    return cache == null ? null : cache.counters();
  }

  long expertBytes() {
    return cache == null ? 0 : cache.store().fullBudgetBytes(cache.memory());
  }

  long expertBudgetBytes() {
    return cache == null ? 0 : cache.budgetBytes();
  }

  long residentWeightBytes() {
    return weights.sizeBytes();
  }

  /**
   * Closes everything in the opposite order of opening, even if something fails to close. Then
   * throws the first failure.
   */
  @Override
  public void close() {
    if (open.isEmpty()) return;
    try (LoadedModel others = this;
        AutoCloseable last = open.pop()) {
      // closes the last one first, then the others, even if the last one throws
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e); // nothing that is opened here throws a checked exception
    }
  }
}
