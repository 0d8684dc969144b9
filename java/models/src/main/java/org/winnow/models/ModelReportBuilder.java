package org.winnow.models;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.UnsupportedFormatException;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.NativeLibrary;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.TensorInfo;

/**
 * Builds a {@link ModelReport}: counts the tensors of a checkpoint by layer and by format, and its
 * experts separately.
 */
final class ModelReportBuilder {
  private final Path path;
  private final List<String> remarks = new ArrayList<>();
  private final List<TensorInfo> tensors;
  private final ConfigFacts facts;
  private final Map<String, Map<Integer, LayerCount>> stacks = new TreeMap<>();
  private final Map<String, FormatCount> formats = new TreeMap<>();
  private long parameters; // outside layers
  private long sizeBytes;
  private long auxiliaryParameters;
  private long auxiliaryBytes;
  private long embeddingRowsUnread; // bytes of the embedding table except one row
  private boolean hasOutput; // a matrix of its own

  private static final class FormatCount {
    private int numTensors;
    private long sizeBytes;
    private boolean computed = true;
  }

  ModelReportBuilder(Path path) {
    this.path = path;
    Path found = ModelFolder.resolve(path);
    if (!Files.isDirectory(found) && ModelFolder.isOfWholeModel(found)) {
      Path parent = found.toAbsolutePath().getParent();
      if (parent != null) found = parent;
    }
    tensors = ReportedTensors.of(found, remarks);
    facts =
        Files.isDirectory(found)
            ? ConfigFacts.in(found)
            : ConfigFacts.none("one file is described, without a config.json");
    remarks.addAll(facts.remarks());
  }

  ModelReport build() {
    StoredWeights stored = new StoredWeights(tensors, facts.bits(), facts.groupSize());
    for (TensorInfo tensor : tensors) count(tensor, stored.of(tensor));
    moveFurtherLayers();
    List<ModelReport.Layer> layers = new ArrayList<>();
    long all = parameters;
    long expertBytes = 0;
    long active = parameters;
    long activeBytes = sizeBytes - auxiliaryBytes - (hasOutput ? embeddingRowsUnread : 0);
    boolean known = true;
    for (Map.Entry<String, Map<Integer, LayerCount>> stack : stacks.entrySet()) {
      for (Map.Entry<Integer, LayerCount> entry : stack.getValue().entrySet()) {
        LayerCount count = entry.getValue();
        ModelReport.Layer layer = layer(stack.getKey(), entry.getKey(), count);
        layers.add(layer);
        known &= layer.numExperts() == 0 || layer.topK() > 0;
        all = Saturated.plus(all, count.parameters());
        expertBytes += count.expertBytes();
        long used = Saturated.times(layer.topK(), layer.expertParameters());
        active = Saturated.plus(active, count.parameters() - count.expertParameters());
        active = Saturated.plus(active, Math.min(used, count.expertParameters()));
        activeBytes += layer.topK() * layer.expertBytes() - count.expertBytes();
      }
    }
    new ReportRemarks(facts, stacks).addTo(remarks);
    List<String> obstacles = new ArrayList<>();
    Opened opened = opened(layers, obstacles);
    return new ModelReport(
        path,
        facts.config(),
        facts.modelType(),
        facts.contextLength() == 0 ? OptionalInt.empty() : OptionalInt.of(facts.contextLength()),
        reasons(),
        all,
        known ? OptionalLong.of(active) : OptionalLong.empty(),
        auxiliaryParameters,
        facts.hiddenSize() == 0 || facts.numExperts() == 0
            ? 0
            : (double) facts.expertSize() / facts.hiddenSize(),
        tensors.size(),
        sizeBytes,
        expertBytes,
        opened.slotBytes,
        known ? OptionalLong.of(activeBytes) : OptionalLong.empty(),
        opened.defaults,
        List.copyOf(layers),
        formats(),
        List.copyOf(obstacles),
        List.copyOf(remarks));
  }

  private ModelReport.Layer layer(String stack, int index, LayerCount count) {
    int numExperts = count.numExperts(facts.numExperts());
    return new ModelReport.Layer(
        stack,
        index,
        numExperts,
        Math.min(facts.topK(), numExperts),
        numExperts == 0 ? 0 : count.expertParameters() / numExperts,
        numExperts == 0 ? 0 : count.expertBytes() / numExperts,
        count.sharedParameters(),
        count.parameters());
  }

  private void count(TensorInfo tensor, StoredWeights.Encoding encoding) {
    String name = tensor.name();
    sizeBytes = Saturated.plus(sizeBytes, tensor.sizeBytes());
    countFormat(tensor, encoding);
    TensorPlace place = TensorPlace.of(name, tensor.shape().length);
    if (place.furtherTokens()) {
      auxiliaryParameters = Saturated.plus(auxiliaryParameters, encoding.weights());
      auxiliaryBytes += tensor.sizeBytes();
    } else if (place.layer() != TensorPlace.NONE) {
      stacks
          .computeIfAbsent(place.stack(), unused -> new TreeMap<>())
          .computeIfAbsent(place.layer(), unused -> new LayerCount())
          .add(tensor, place, encoding.weights());
    } else {
      parameters = Saturated.plus(parameters, encoding.weights());
      hasOutput |= TensorPlace.isOutput(name);
      long[] shape = tensor.shape();
      if (shape.length == 2 && shape[0] > 0 && TensorPlace.isEmbedding(name))
        embeddingRowsUnread = tensor.sizeBytes() - tensor.sizeBytes() / shape[0];
    }
  }

  private void countFormat(TensorInfo tensor, StoredWeights.Encoding encoding) {
    FormatCount format = formats.computeIfAbsent(encoding.name(), unused -> new FormatCount());
    format.numTensors++;
    format.sizeBytes += tensor.sizeBytes();
    boolean floating = tensor.dtype() != null && tensor.dtype().isFloating();
    format.computed &= !encoding.quantised() && (encoding.weights() == 0 || floating);
  }

  /** Takes the layers that predict further tokens out of the stack that is longest in bytes. */
  private void moveFurtherLayers() {
    Map<Integer, LayerCount> main = ReportRemarks.mainStack(stacks);
    if (main == null) return;
    main.entrySet()
        .removeIf(
            entry -> {
              int beyond = entry.getKey() - facts.numLayers();
              LayerCount count = entry.getValue();
              boolean further = beyond < facts.furtherLayers() || count.isFurther();
              if (beyond < 0 || !further) return false;
              auxiliaryParameters = Saturated.plus(auxiliaryParameters, count.parameters());
              auxiliaryBytes += count.sizeBytes();
              return true;
            });
  }

  /** What is known of the model when it is open: bytes of memory per expert, and defaults. */
  private record Opened(long slotBytes, ModelReport.@Nullable Defaults defaults) {}

  /**
   * What {@link LoadedModel} makes of the checkpoint. If it cannot be opened, returns the stored
   * size of the largest expert, and adds the reason to {@code obstacles}: the checks are those of
   * opening, in the same order.
   */
  private Opened opened(List<ModelReport.Layer> layers, List<String> obstacles) {
    long stored = layers.stream().mapToLong(ModelReport.Layer::expertBytes).max().orElse(0);
    String natives = NativeLibrary.unavailabilityCause();
    if (natives != null) {
      obstacles.add(natives);
      return new Opened(stored, null);
    }
    try {
      Path folder = ModelFolder.folder(path);
      TokenizerFile tokenizer = Tokenizer.isIn(folder) ? Tokenizer.check(folder) : null;
      try (CpuBackend cpu = new CpuBackend(InstructionSet.best(), 1);
          DecoderPlan plan = DecoderPlan.of(folder, cpu, unused -> tensors)) {
        ExpertStore experts = plan.experts();
        if (tokenizer != null) tokenizer.requireWithin(plan.config().vocabularySize());
        GenerationDefaults.read(folder);
        DType type = plan.activations(LoadOptions.defaults().activations());
        long cacheBytes = plan.spec().cacheElementsPerToken() * type.sizeBytes();
        return new Opened(
            experts == null ? stored : experts.slotBytes(),
            new ModelReport.Defaults(type, type, cacheBytes));
      }
    } catch (CheckpointException | UnsupportedFormatException e) {
      obstacles.add(String.valueOf(e.getMessage()));
      return new Opened(stored, null);
    }
  }

  private List<String> reasons() {
    List<String> reasons = new ArrayList<>();
    if (facts.numExperts() > 1)
      reasons.add(
          "config.json: "
              + facts.numExperts()
              + " experts"
              + (facts.topK() > 0 ? ", " + facts.topK() + " for each token" : ""));
    Map<String, Long> sparse = new LinkedHashMap<>();
    stacks.forEach(
        (name, layers) -> {
          long count = layers.values().stream().filter(LayerCount::hasExperts).count();
          if (count > 0) sparse.put(name, count);
        });
    if (sparse.isEmpty()) return List.copyOf(reasons);
    long count = sparse.values().stream().mapToLong(Long::longValue).sum();
    reasons.add("tensors of experts in " + count + (count == 1 ? " layer" : " layers"));
    boolean router =
        stacks.values().stream()
            .flatMap(layers -> layers.values().stream())
            .anyMatch(layer -> layer.hasExperts() && layer.hasRouter());
    if (router) reasons.add("tensors of routers");
    return List.copyOf(reasons);
  }

  private List<ModelReport.Format> formats() {
    List<ModelReport.Format> list = new ArrayList<>();
    formats.forEach(
        (name, count) ->
            list.add(
                new ModelReport.Format(name, count.numTensors, count.sizeBytes, count.computed)));
    list.sort(Comparator.comparingLong(ModelReport.Format::sizeBytes).reversed());
    return List.copyOf(list);
  }
}
