package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.internal.Internals.argumentOrNull;

import org.jspecify.annotations.Nullable;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.TopKRouterArguments;
import org.winnow.op.TopKRouter.EmptyPolicy;
import org.winnow.op.TopKRouter.GroupScore;
import org.winnow.op.TopKRouter.Score;

/** What a {@link TopKRouter} was built with; {@link TopKRouter.Builder} describes each option. */
final class TopKRouterOptions {
  final Score score;
  final int topK;
  final @Nullable Tensor correctionBias;
  final int minExperts;
  final int numExpertGroups;
  final int topKGroups;
  final GroupScore groupScore;
  final boolean renormalise;
  final float scalingFactor;
  final float threshold;
  final EmptyPolicy emptyPolicy;
  final float topP;
  final float minP;
  final float skipBelow;

  /**
   * @throws IllegalArgumentException if options exclude each other
   */
  TopKRouterOptions(TopKRouter.Builder builder) {
    score = builder.score;
    topK = builder.topK;
    correctionBias = builder.correctionBias;
    minExperts = builder.minExperts;
    numExpertGroups = builder.numExpertGroups;
    topKGroups = builder.topKGroups;
    groupScore = builder.groupScore;
    renormalise = builder.renormalise;
    scalingFactor = builder.scalingFactor;
    threshold = builder.threshold;
    emptyPolicy = builder.emptyPolicy;
    topP = builder.topP;
    minP = builder.minP;
    skipBelow = builder.skipBelow;
    if ((topP > 0 || minP > 0) && (correctionBias != null || numExpertGroups > 1)) {
      throw new IllegalArgumentException(
          "topP and minP must not be combined with correctionBias or groups: choices would not be"
              + " in descending order of probability");
    }
  }

  /** See {@link TopKRouter#topK}. */
  int topK(long numExperts) {
    return (int) Math.min(topK, numExperts);
  }

  /** See {@link TopKRouter#choosesFixedNumber}. */
  boolean choosesFixedNumber() {
    return hasFixedTopK() && topP == 0 && minP == 0 && skipBelow == 0;
  }

  /** Whether topK is the number of experts to choose, not only a limit. */
  private boolean hasFixedTopK() {
    return score == Score.SOFTMAX || score == Score.SIGMOID;
  }

  /** See {@link TopKRouter#requireExperts}. */
  void requireExperts(long numExperts) {
    if (numExperts < 1)
      throw new IllegalArgumentException("logits must have at least 1 expert, found " + numExperts);
    if (numExperts % numExpertGroups != 0) {
      throw new IllegalArgumentException(
          "number of experts must be a multiple of the "
              + numExpertGroups
              + " groups, found "
              + numExperts);
    }
    long eligible = numExperts / numExpertGroups * topKGroups;
    if (topK > eligible && hasFixedTopK()) {
      throw new IllegalArgumentException(
          "topK must be at most the number of eligible experts, " + eligible + ", found " + topK);
    }
  }

  /** Checks the bias, if there is one, for a call. */
  void requireBias(long numExperts, TensorMemory memory) {
    if (correctionBias == null) return;
    correctionBias.require("correctionBias", F32, numExperts);
    correctionBias.requireIn("correctionBias", memory);
  }

  /** Fills the part of a call's arguments that does not depend on its tensors. */
  void describe(long numExperts, TopKRouterArguments arguments) {
    arguments
        .correctionBias(argumentOrNull(correctionBias))
        .topK(topK(numExperts))
        .minExperts(minExperts)
        .numExpertGroups(numExpertGroups)
        .topKGroups(topKGroups)
        .score(score.ordinal())
        .groupScore(groupScore.ordinal())
        .renormalise(renormalise ? 1 : 0)
        .fallbackTop1(emptyPolicy == EmptyPolicy.FALLBACK_TOP1 ? 1 : 0)
        .scalingFactor(scalingFactor)
        .threshold(threshold)
        .topP(topP)
        .minP(minP)
        .skipBelow(skipBelow);
  }
}
