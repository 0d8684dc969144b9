package org.winnow.models;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;
import org.winnow.cpu.NativeLibrary;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.TensorInfo;

/**
 * Builds a {@link ModelReport}: counts the tensors of a checkpoint by layer and by format, and its
 * experts separately.
 */
final class ModelReportBuilder {
  private final Path path;
  private final @Nullable ModelConfig config;
  private final List<TensorInfo> tensors;
  private final Map<Integer, LayerCount> layers = new TreeMap<>();
  private final Map<String, FormatCount> formats = new TreeMap<>();
  private long parameters; // outside layers
  private long auxiliaryParameters;
  private long auxiliaryBytes;
  private long sizeBytes;
  private long embeddingRowsUnread; // bytes of the embedding table except one row
  private boolean router;

  private static final class LayerCount {
    private long parameters;
    private long expertParameters; // of all experts
    private long expertBytes;
    private long sharedParameters;
    private long stackedExperts;
    private final Set<Integer> experts = new HashSet<>();

    long numExperts() {
      return Math.max(stackedExperts, experts.size());
    }
  }

  private static final class FormatCount {
    private int numTensors;
    private long sizeBytes;
    private boolean computed = true;
  }

  ModelReportBuilder(Path path) {
    this.path = path;
    Path name = path.getFileName();
    boolean model =
        Files.isDirectory(path)
            || name.toString().equals(Safetensors.SINGLE_FILE)
            || name.toString().endsWith(".index.json");
    Path file =
        Files.isDirectory(path) ? path.resolve("config.json") : path.resolveSibling("config.json");
    config = model && Files.exists(file) ? ModelConfig.read(file) : null;
    tensors = Safetensors.tensors(path);
  }

  ModelReport build() {
    tensors.forEach(this::count);
    checkAgainstConfig();
    List<ModelReport.Layer> reported = new ArrayList<>();
    long experts = 0;
    long expertBytes = 0;
    long active = parameters;
    long activeBytes = sizeBytes - auxiliaryBytes - embeddingRowsUnread;
    boolean known = true;
    for (Map.Entry<Integer, LayerCount> entry : layers.entrySet()) {
      LayerCount count = entry.getValue();
      long numExperts = count.numExperts();
      int topK =
          numExperts == 0 || config == null || config.experts() == null
              ? 0
              : config.experts().topK();
      long one = numExperts == 0 ? 0 : count.expertParameters / numExperts;
      long oneBytes = numExperts == 0 ? 0 : count.expertBytes / numExperts;
      known &= numExperts == 0 || topK > 0;
      experts += count.expertParameters;
      expertBytes += count.expertBytes;
      active += count.parameters - count.expertParameters + topK * one;
      activeBytes += topK * oneBytes - count.expertBytes;
      reported.add(
          new ModelReport.Layer(
              entry.getKey(),
              (int) numExperts,
              topK,
              one,
              oneBytes,
              count.sharedParameters,
              count.parameters));
    }
    List<String> obstacles = obstacles();
    long all = parameters + layers.values().stream().mapToLong(count -> count.parameters).sum();
    long slotBytes = slotBytes(reported, obstacles);
    return new ModelReport(
        path,
        config,
        reasons(experts > 0),
        all,
        known ? OptionalLong.of(active) : OptionalLong.empty(),
        auxiliaryParameters,
        tensors.size(),
        sizeBytes,
        expertBytes,
        slotBytes,
        known ? OptionalLong.of(activeBytes) : OptionalLong.empty(),
        List.copyOf(reported),
        formats(),
        List.copyOf(obstacles));
  }

  /**
   * Bytes of memory per expert when {@link LoadedModel} opens the checkpoint. If it cannot be
   * opened, returns the stored size of the largest expert. A reason that was not known before is
   * added to {@code obstacles}.
   */
  private long slotBytes(List<ModelReport.Layer> reported, List<String> obstacles) {
    if (config != null && obstacles.isEmpty() && NativeLibrary.unavailabilityCause() == null) {
      try (DecoderPlan plan = DecoderPlan.of(config, tensors)) {
        ExpertStore store = plan.experts();
        return store == null ? 0 : store.slotBytes();
      } catch (CheckpointException | UnsupportedFormatException e) {
        obstacles.add(e.getMessage());
      }
    }
    return reported.stream().mapToLong(ModelReport.Layer::expertBytes).max().orElse(0);
  }

  private void count(TensorInfo tensor) {
    String name = tensor.name();
    long number = numParameters(tensor);
    sizeBytes = Math.addExact(sizeBytes, tensor.sizeBytes());
    countFormat(tensor, number);
    router |= TensorNames.isRouter(name);
    int index = TensorNames.layer(name);
    if (index < 0) {
      parameters = Math.addExact(parameters, number);
      boolean tied = config != null && config.tiedEmbeddings();
      if (!tied
          && tensor.shape().length == 2
          && tensor.shape()[0] > 0
          && TensorNames.isEmbedding(name)) {
        embeddingRowsUnread = tensor.sizeBytes() - tensor.sizeBytes() / tensor.shape()[0];
      }
      return;
    }
    if (config != null && index >= config.numLayers()) {
      auxiliaryParameters = Math.addExact(auxiliaryParameters, number);
      auxiliaryBytes += tensor.sizeBytes();
      return;
    }
    LayerCount layer = layers.computeIfAbsent(index, unused -> new LayerCount());
    layer.parameters = Math.addExact(layer.parameters, number);
    int expert = TensorNames.expert(name);
    if (expert != TensorNames.NONE) {
      layer.expertParameters += number;
      layer.expertBytes += tensor.sizeBytes();
      if (expert != TensorNames.ALL) {
        layer.experts.add(expert);
      } else if (tensor.shape().length > 0) {
        layer.stackedExperts =
            Math.max(layer.stackedExperts, Math.min(tensor.shape()[0], Integer.MAX_VALUE));
      }
    } else if (TensorNames.isShared(name)) {
      layer.sharedParameters += number;
    }
  }

  /**
   * Number of weights in a tensor. MXFP4 packs two in a byte. Scales and rotary tables count as
   * none.
   */
  private static long numParameters(TensorInfo tensor) {
    if (isPacked(tensor)) return Math.multiplyExact(2, tensor.size());
    return TensorNames.isScale(tensor.name()) ? 0 : tensor.size();
  }

  private static boolean isPacked(TensorInfo tensor) {
    return tensor.storedType().equals("U8") && tensor.name().endsWith("_blocks");
  }

  private void countFormat(TensorInfo tensor, long number) {
    boolean mxfp4 =
        isPacked(tensor) || (tensor.storedType().equals("U8") && tensor.name().endsWith("_scales"));
    FormatCount format =
        formats.computeIfAbsent(mxfp4 ? "MXFP4" : tensor.storedType(), unused -> new FormatCount());
    format.numTensors++;
    format.sizeBytes += tensor.sizeBytes();
    format.computed &= number == 0 ? !mxfp4 : tensor.dtype() != null && tensor.dtype().isFloating();
  }

  private void checkAgainstConfig() {
    if (config == null) return;
    ModelConfig.Experts expected = config.experts();
    for (int index = 0; index < config.numLayers(); index++) {
      LayerCount layer = layers.get(index);
      if (layer == null)
        throw new CheckpointException(
            path,
            "layers." + index,
            "tensors of " + config.numLayers() + " layers",
            "none of this one");
      long most = expected != null && config.isSparse(index) ? expected.numExperts() : 0;
      if (expected != null && layer.numExperts() != most) {
        throw new CheckpointException(
            path,
            "layers." + index,
            most + " experts, as config.json says",
            Long.toString(layer.numExperts()));
      }
    }
  }

  private List<String> reasons(boolean experts) {
    List<String> reasons = new ArrayList<>();
    if (config != null && config.experts() != null && config.experts().numExperts() > 1) {
      reasons.add(
          "config.json: "
              + config.experts().numExperts()
              + " experts, "
              + config.experts().topK()
              + " for each token");
    }
    if (experts) {
      long sparse = layers.values().stream().filter(layer -> layer.numExperts() > 0).count();
      reasons.add("tensors of experts in " + sparse + " layers");
    }
    if (router && experts) reasons.add("tensors of routers");
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

  private List<String> obstacles() {
    List<String> obstacles = new ArrayList<>();
    formats.forEach(
        (name, count) -> {
          if (!count.computed) obstacles.add("weights of type " + name);
        });
    if (config == null) {
      obstacles.add("no config.json");
    } else {
      try {
        Family.requireSupported(config);
      } catch (UnsupportedFormatException e) {
        obstacles.add(e.getMessage());
      }
    }
    return obstacles;
  }
}
