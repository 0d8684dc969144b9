package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;

/**
 * Chooses experts and their weights for each token. The choice follows one of these rules on the
 * router's logits z:
 *
 * <ul>
 *   <li>{@linkplain #softmax softmax}: p = softmax(z) and the topK largest p are chosen. The
 *       weights are p, renormalised over the choices by default, which equals softmax over the topK
 *       logits alone. Shazeer et al. 2017, arXiv:1701.06538. Switch Transformer is {@code
 *       softmax(1).renormalise(false)}.
 *   <li>{@linkplain #sigmoid sigmoid}: s = sigmoid(z) and the topK largest s + bias in the best
 *       groups are chosen. The weights are s, renormalised and multiplied by a factor. DeepSeek-V3,
 *       arXiv:2412.19437, eq. (13)-(16).
 *   <li>{@linkplain #sparsemax sparsemax}: the weights are the projection of z onto the simplex,
 *       which is zero for most experts; the others are chosen. Martins and Astudillo 2016,
 *       arXiv:1602.02068.
 *   <li>{@linkplain #threshold threshold}: experts with a logit above a threshold are chosen.
 * </ul>
 *
 * <p>{@link Builder#topP}, {@link Builder#minP} and {@link Builder#skipBelow} drop some of the
 * choices. Choices are ordered by descending value, equal values by ascending index; -0 equals +0.
 * Results have the same bits for every instruction set, batch and number of threads. Immutable.
 * Native contract: {@code top_k_router.h}.
 */
public final class TopKRouter {
  /**
   * Function from logits to weights. The order is that of {@code winnow::RouterScore} in {@code
   * top_k_router.h}.
   */
  public enum Score {
    SOFTMAX,
    SIGMOID,
    SPARSEMAX,
    /** z, for experts with z above the threshold. */
    HARD_THRESHOLD,
    /** z - threshold, for experts with z above the threshold. */
    SHIFTED_THRESHOLD
  }

  /**
   * Function that ranks groups of experts by their experts' selection values, which are scores plus
   * correction bias. The order is that of the contract.
   */
  public enum GroupScore {
    /** The largest value in the group, as in DeepSeek-V2. */
    MAX,
    /** The sum of the two largest values in the group, as in DeepSeek-V3. */
    SUM_OF_TOP_TWO
  }

  /** Treatment of a token that has no expert above the threshold. */
  public enum EmptyPolicy {
    /**
     * The token gets the expert with its largest logit. The weight is 1 times the scaling factor.
     */
    FALLBACK_TOP1,
    /** The token gets no expert. */
    ZERO
  }

  private final TopKRouterOptions options;

  private TopKRouter(TopKRouterOptions options) {
    this.options = options;
  }

  /** Chooses the topK most probable experts. */
  public static Builder softmax(int topK) {
    return new Builder(Score.SOFTMAX, topK);
  }

  /** Chooses the topK experts with the largest sigmoid. */
  public static Builder sigmoid(int topK) {
    return new Builder(Score.SIGMOID, topK);
  }

  /**
   * Chooses the experts with a positive sparsemax. {@link Builder#maxExperts} limits their number.
   */
  public static Builder sparsemax() {
    return new Builder(Score.SPARSEMAX, Integer.MAX_VALUE);
  }

  /**
   * Chooses the experts whose logit exceeds a threshold. {@link Builder#maxExperts} limits their
   * number.
   *
   * @param score {@link Score#SHIFTED_THRESHOLD}, or {@link Score#HARD_THRESHOLD} with a threshold
   *     of at least 0, because a negative one would give negative weights
   */
  public static Builder threshold(Score score, float threshold) {
    if (score != Score.HARD_THRESHOLD && score != Score.SHIFTED_THRESHOLD) {
      throw new IllegalArgumentException(
          "score must be HARD_THRESHOLD or SHIFTED_THRESHOLD, found " + score);
    }
    if (!Float.isFinite(threshold) || (score == Score.HARD_THRESHOLD && threshold < 0)) {
      throw new IllegalArgumentException(
          "threshold must be finite"
              + (score == Score.HARD_THRESHOLD ? " and not negative" : "")
              + ", found "
              + threshold);
    }
    Builder builder = new Builder(score, Integer.MAX_VALUE);
    builder.threshold = threshold;
    return builder;
  }

  /**
   * Routes every token.
   *
   * @param logits [numTokens, numExperts] f32
   * @param output overwritten
   * @throws IllegalArgumentException naming the argument that is wrong, or if there are fewer
   *     experts than the rule chooses; nothing has run then
   * @throws InvalidLogitsException naming the first token whose logits hold a NaN or have no finite
   *     maximum; the output is empty then
   * @throws IllegalStateException if a tensor, the output or the backend is closed
   */
  public void run(Backend backend, Tensor logits, Routing output) {
    TopKRouterCall.run(options, backend, logits, output);
  }

  /**
   * Routes every token and sorts the choices by expert. This equals {@link #run(Backend, Tensor,
   * Routing)} followed by {@link ExpertPlan#build}, but some backends run both in one launch for
   * few tokens.
   *
   * @param plan overwritten; its number of experts becomes that of the logits
   */
  public void run(Backend backend, Tensor logits, Routing output, ExpertPlan plan) {
    TopKRouterCall.run(options, backend, logits, output, plan);
  }

  /**
   * Checks that the rule fits this many experts.
   *
   * @throws IllegalArgumentException naming the option that does not fit
   */
  public void requireExperts(long numExperts) {
    options.requireExperts(numExperts);
  }

  /** Whether every token gets the same number of experts for any logits. */
  public boolean choosesFixedNumber() {
    return options.choosesFixedNumber();
  }

  /** The maximum number of experts per token, of this many experts. */
  public int topK(long numExperts) {
    return options.topK(numExperts);
  }

  public Score score() {
    return options.score;
  }

  /** The bias added to the scores that rank the experts, or null. */
  public @Nullable Tensor correctionBias() {
    return options.correctionBias;
  }

  /**
   * The minimum number of experts that {@link Builder#topP}, {@link Builder#minP} and {@link
   * Builder#skipBelow} leave.
   */
  public int minExperts() {
    return options.minExperts;
  }

  /** Number of expert groups; 1 means no groups. */
  public int numExpertGroups() {
    return options.numExpertGroups;
  }

  public int topKGroups() {
    return options.topKGroups;
  }

  public GroupScore groupScore() {
    return options.groupScore;
  }

  public boolean renormalises() {
    return options.renormalise;
  }

  public float scalingFactor() {
    return options.scalingFactor;
  }

  public float threshold() {
    return options.threshold;
  }

  public EmptyPolicy emptyPolicy() {
    return options.emptyPolicy;
  }

  /** See {@link Builder#topP}; 0 if off. */
  public float topP() {
    return options.topP;
  }

  /** See {@link Builder#minP}; 0 if off. */
  public float minP() {
    return options.minP;
  }

  /** See {@link Builder#skipBelow}; 0 if off. */
  public float skipBelow() {
    return options.skipBelow;
  }

  /** Builds a router. Each method documents its default. */
  public static final class Builder {
    final Score score;
    int topK;
    @Nullable Tensor correctionBias;
    int minExperts = 1;
    int numExpertGroups = 1;
    int topKGroups = 1;
    GroupScore groupScore = GroupScore.MAX;
    boolean renormalise = true;
    float scalingFactor = 1;
    float threshold;
    EmptyPolicy emptyPolicy = EmptyPolicy.FALLBACK_TOP1;
    float topP;
    float minP;
    float skipBelow;

    private Builder(Score score, int topK) {
      if (topK < 1) throw new IllegalArgumentException("topK must be at least 1, found " + topK);
      this.score = score;
      this.topK = topK;
    }

    /**
     * Whether the weights of the choices are scaled to sum to 1. Default: true. The sigmoid rule
     * adds 1e-20 to the sum, as DeepSeek-V3 does.
     */
    public Builder renormalise(boolean renormalises) {
      renormalise = renormalises;
      return this;
    }

    /** Multiplies every weight, after renormalisation. Default: 1. */
    public Builder scalingFactor(float factor) {
      if (!Float.isFinite(factor))
        throw new IllegalArgumentException("scalingFactor must be finite, found " + factor);
      scalingFactor = factor;
      return this;
    }

    /**
     * Softmax and sigmoid only: adds a bias to the scores that rank the experts. The weights are
     * computed without it. Default: none.
     *
     * @param bias [numExperts] f32, finite; the caller keeps it open while the router is used
     */
    public Builder correctionBias(Tensor bias) {
      requireScore("correctionBias", Score.SOFTMAX, Score.SIGMOID);
      bias.require("correctionBias", F32, ANY);
      for (float value : bias.toFloatArray()) {
        if (!Float.isFinite(value))
          throw new IllegalArgumentException("correctionBias must be finite, found " + value);
      }
      correctionBias = bias;
      return this;
    }

    /**
     * Softmax and sigmoid only: divides the experts into consecutive groups of equal size. Only
     * experts of the best groups can be chosen. Default: one group.
     */
    public Builder groups(int numGroups, int topKGroups, GroupScore groupScore) {
      requireScore("groups", Score.SOFTMAX, Score.SIGMOID);
      if (numGroups < 1)
        throw new IllegalArgumentException("numGroups must be at least 1, found " + numGroups);
      if (topKGroups < 1 || topKGroups > numGroups) {
        throw new IllegalArgumentException(
            "topKGroups must lie in [1, " + numGroups + "], found " + topKGroups);
      }
      numExpertGroups = numGroups;
      this.topKGroups = topKGroups;
      this.groupScore = groupScore;
      return this;
    }

    /**
     * Sparsemax and thresholds only: limits the number of experts per token. Sparsemax is then
     * computed on the largest logits only. Default: no limit.
     */
    public Builder maxExperts(int maxExperts) {
      requireScore("maxExperts", Score.SPARSEMAX, Score.HARD_THRESHOLD, Score.SHIFTED_THRESHOLD);
      if (maxExperts < 1)
        throw new IllegalArgumentException("maxExperts must be at least 1, found " + maxExperts);
      topK = maxExperts;
      return this;
    }

    /**
     * The minimum number of experts that {@link #topP}, {@link #minP} and {@link #skipBelow} leave
     * to a token, if it had that many. Default: 1.
     */
    public Builder minExperts(int minExperts) {
      if (minExperts < 1)
        throw new IllegalArgumentException("minExperts must be at least 1, found " + minExperts);
      this.minExperts = minExperts;
      return this;
    }

    /**
     * Softmax only: of the topK, keeps the fewest most probable experts whose probabilities sum to
     * at least p. Probabilities are those over all experts. Default: off.
     */
    public Builder topP(float p) {
      topP = share("topP", p, Score.SOFTMAX);
      return this;
    }

    /**
     * Softmax only: of the topK, keeps experts that are at least p times as probable as the best
     * one. Default: off.
     */
    public Builder minP(float p) {
      minP = share("minP", p, Score.SOFTMAX);
      return this;
    }

    /**
     * Drops choices whose weight is below this share of the first choice's weight. Default: off.
     */
    public Builder skipBelow(float share) {
      skipBelow = share("skipBelow", share, Score.values());
      return this;
    }

    /**
     * Thresholds only: treatment of a token that has no expert above the threshold. Default: {@link
     * EmptyPolicy#FALLBACK_TOP1}.
     */
    public Builder whenEmpty(EmptyPolicy policy) {
      requireScore("whenEmpty", Score.HARD_THRESHOLD, Score.SHIFTED_THRESHOLD);
      emptyPolicy = policy;
      return this;
    }

    /**
     * @throws IllegalArgumentException if options exclude each other
     */
    public TopKRouter build() {
      return new TopKRouter(new TopKRouterOptions(this));
    }

    private float share(String name, float value, Score... scores) {
      requireScore(name, scores);
      if (!(value > 0 && value <= 1))
        throw new IllegalArgumentException(name + " must lie in (0, 1], found " + value);
      return value;
    }

    private void requireScore(String option, Score... scores) {
      for (Score allowed : scores) {
        if (score == allowed) return;
      }
      throw new IllegalArgumentException(option + " must not be set for " + score);
    }
  }
}
