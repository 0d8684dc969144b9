package org.winnow.models;

import java.util.HashSet;
import java.util.Set;
import org.winnow.memory.TensorInfo;

/** Counts the tensors of one layer, and those of its experts separately. */
final class LayerCount {
  private long parameters;
  private long sizeBytes;
  private long expertParameters; // of all experts
  private long expertBytes;
  private long sharedParameters;
  private final Set<Integer> experts = new HashSet<>(); // stored one by one
  private long stackedExperts; // the first extent of tensors that hold all experts
  private long routerRows;
  private boolean further;

  void add(TensorInfo tensor, TensorPlace place, long numWeights) {
    String name = tensor.name();
    long[] shape = tensor.shape();
    parameters = Saturated.plus(parameters, numWeights);
    sizeBytes += tensor.sizeBytes(); // ranges of files, whose sum fits
    further |= TensorPlace.isOfFurtherLayer(name);
    if (place.expert() != TensorPlace.NONE) {
      expertParameters = Saturated.plus(expertParameters, numWeights);
      expertBytes += tensor.sizeBytes();
      if (place.expert() != TensorPlace.ALL) experts.add(place.expert());
      else if (shape.length >= 3)
        stackedExperts = Math.max(stackedExperts, Math.min(shape[0], Integer.MAX_VALUE));
    } else if (TensorPlace.isShared(name)) {
      sharedParameters = Saturated.plus(sharedParameters, numWeights);
    } else if (TensorPlace.isRouter(name) && shape.length == 2) {
      routerRows = Math.max(routerRows, Math.min(shape[0], Integer.MAX_VALUE));
    }
  }

  boolean hasExperts() {
    return expertBytes > 0;
  }

  /** Whether the tensors tell the number of experts. */
  boolean knowsExperts() {
    return !experts.isEmpty() || stackedExperts > 0 || routerRows > 0;
  }

  /**
   * Number of routed experts; 0 in a dense layer.
   *
   * @param otherwise the number where no tensor tells it, as where all experts are rows of one
   *     matrix and there is no router
   */
  int numExperts(int otherwise) {
    if (!hasExperts()) return 0;
    long told = Math.max(stackedExperts, experts.size());
    return (int) (told > 0 ? told : routerRows > 0 ? routerRows : Math.max(1, otherwise));
  }

  /** Whether a layer of these tensors predicts further tokens, if it is after the last one. */
  boolean isFurther() {
    return further;
  }

  boolean hasRouter() {
    return routerRows > 0;
  }

  long parameters() {
    return parameters;
  }

  long sizeBytes() {
    return sizeBytes;
  }

  long expertParameters() {
    return expertParameters;
  }

  long expertBytes() {
    return expertBytes;
  }

  long sharedParameters() {
    return sharedParameters;
  }
}
