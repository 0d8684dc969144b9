package org.winnow.models;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Compares what the configuration says with the tensors of the layers. */
final class ReportRemarks {
  private final ConfigFacts facts;
  private final Map<String, Map<Integer, LayerCount>> stacks;

  ReportRemarks(ConfigFacts facts, Map<String, Map<Integer, LayerCount>> stacks) {
    this.facts = facts;
    this.stacks = stacks;
  }

  /** The stack of layers with the most bytes, or null if there are no layers. */
  static @Nullable Map<Integer, LayerCount> mainStack(
      Map<String, Map<Integer, LayerCount>> stacks) {
    Map<Integer, LayerCount> main = null;
    long most = -1;
    for (Map<Integer, LayerCount> stack : stacks.values()) {
      long bytes = stack.values().stream().mapToLong(LayerCount::sizeBytes).sum();
      if (bytes > most) main = stack;
      most = Math.max(most, bytes);
    }
    return main;
  }

  void addTo(List<String> remarks) {
    addLayers(remarks);
    boolean sparse =
        stacks.values().stream()
            .flatMap(layers -> layers.values().stream())
            .anyMatch(LayerCount::hasExperts);
    if (sparse) addExperts(remarks);
    else if (facts.numExperts() > 1)
      remarks.add(
          "config.json has " + facts.numExperts() + " experts, but no tensor is known as one's");
  }

  private void addLayers(List<String> remarks) {
    Map<Integer, LayerCount> main = mainStack(stacks);
    if (main == null || facts.numLayers() == 0) return;
    long present = main.keySet().stream().filter(index -> index < facts.numLayers()).count();
    if (present < facts.numLayers())
      remarks.add(
          "config.json has " + facts.numLayers() + " layers, but there are tensors of " + present);
    long beyond = main.size() - present;
    if (beyond > 0)
      remarks.add(
          "config.json has "
              + facts.numLayers()
              + " layers, but there are tensors of "
              + beyond
              + " after them");
  }

  private void addExperts(List<String> remarks) {
    if (facts.config() != null && facts.config().experts() == null)
      remarks.add("config.json is of a dense model, but there are tensors of experts");
    else if (facts.topK() == 0) remarks.add("how many experts a token uses is not known");
    Map<Integer, Integer> numbers = new TreeMap<>();
    boolean unknown = false;
    for (Map<Integer, LayerCount> layers : stacks.values()) {
      for (LayerCount layer : layers.values()) {
        if (!layer.hasExperts()) continue;
        numbers.merge(layer.numExperts(facts.numExperts()), 1, Integer::sum);
        unknown |= !layer.knowsExperts() && facts.numExperts() == 0;
      }
    }
    if (unknown) remarks.add("how many experts a layer has is not known; they count as one");
    if (facts.numExperts() == 0) return;
    numbers.forEach(
        (experts, layers) -> {
          if (experts != facts.numExperts())
            remarks.add(
                "config.json has "
                    + facts.numExperts()
                    + " experts per layer, but "
                    + layers
                    + (layers == 1 ? " layer has" : " layers have")
                    + " tensors of "
                    + experts);
        });
  }
}
