package org.winnow.op;

import org.winnow.internal.ExpertPlanArguments;
import org.winnow.internal.Status;
import org.winnow.internal.TopKRouterArguments;
import static org.winnow.internal.Internals.address;
import static org.winnow.internal.Internals.addressOrNull;
import org.winnow.internal.Internals;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;

/**
 * Chooses the experts of each token, with weights, by one of these rules on the router's logits z:
 *
 * <ul>
 *   <li>{@linkplain #softmax softmax}: p = softmax(z), the topK largest; weights p, renormalised
 *       over the kept ones unless told otherwise. Softmax over the topK logits alone is the same
 *       thing. Shazeer et al. 2017, arXiv:1701.06538; Switch: {@code
 *       softmax(1).renormalise(false)}.
 *   <li>{@linkplain #sigmoid sigmoid}: s = sigmoid(z), the topK largest s + bias in the best
 *       groups; weights s, renormalised, times a factor. DeepSeek-V3, arXiv:2412.19437, eq.
 *       (13)-(16).
 *   <li>{@linkplain #sparsemax sparsemax}: the projection of z onto the simplex, zero for most
 *       experts. Martins and Astudillo 2016, arXiv:1602.02068.
 *   <li>{@linkplain #threshold threshold}: the experts above a threshold.
 * </ul>
 *
 * <p>Any rule may keep fewer: {@link Builder#topP}, {@link Builder#minP}, {@link
 * Builder#skipBelow}. Larger value first, then smaller index; -0 equals +0. The same bits for every
 * instruction set, batch and number of threads. Immutable. Native contract: {@code top_k_router.h}.
 */
public final class TopKRouter {
  /**
   * How logits become weights. The order is that of {@code winnow::RouterScore} in {@code
   * top_k_router.h}.
   */
  public enum Score {
    SOFTMAX,
    SIGMOID,
    SPARSEMAX,
    /** z for experts with z above the threshold. */
    HARD_THRESHOLD,
    /** z - threshold for these. */
    SHIFTED_THRESHOLD
  }

  /**
   * What a group of experts is chosen by: its largest selection value, or the sum of its two
   * largest. The order is that of the contract.
   */
  public enum GroupScore {
    /** DeepSeek-V2's. */
    MAX,
    /** DeepSeek-V3's. */
    SUM_OF_TOP_TWO
  }

  /** What happens to a token with no expert above the threshold. */
  public enum EmptyPolicy {
    /** It goes to its largest logit, with weight 1. */
    FALLBACK_TOP1,
    /** It goes to no expert. */
    ZERO
  }

  private final Builder options;

  private TopKRouter(Builder options) {
    this.options = options;
  }

  /** The topK most probable experts. */
  public static Builder softmax(int topK) {
    return new Builder(Score.SOFTMAX, topK);
  }

  /** The topK experts with the largest sigmoid. */
  public static Builder sigmoid(int topK) {
    return new Builder(Score.SIGMOID, topK);
  }

  /** The support of sparsemax; {@link Builder#maxExperts} caps it. */
  public static Builder sparsemax() {
    return new Builder(Score.SPARSEMAX, Integer.MAX_VALUE);
  }

  /**
   * The experts whose logit exceeds a threshold; {@link Builder#maxExperts} caps their number.
   *
   * @param score {@link Score#HARD_THRESHOLD} (not with a negative threshold, which would give
   *     negative weights) or {@link Score#SHIFTED_THRESHOLD}
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
   * @throws IllegalArgumentException naming the argument that is wrong, and if there are fewer
   *     experts than the rule chooses; nothing has run then
   * @throws InvalidLogitsException naming the first token whose logits hold a NaN or have no finite
   *     maximum; the output is empty then
   * @throws IllegalStateException if a tensor, the output or the backend is closed
   */
  public void run(Backend backend, Tensor logits, Routing output) {
    int numTokens = reserve(logits, output);
    NativeCall call = NativeCall.enter();
    try {
      check(backend, logits, output);
      TopKRouterArguments arguments = describe(call, logits, output);
      finish(Internals.kernels(backend).topKRouter(arguments), arguments, numTokens, output);
    } finally {
      call.exit();
      Reference.reachabilityFence(logits);
      Reference.reachabilityFence(output);
    }
  }

  /**
   * Routes every token and sorts the choices by expert, as {@link #run(Backend, Tensor, Routing)}
   * and then {@link ExpertPlan#build} do; some backends do both at once for a few tokens.
   *
   * @param plan overwritten; for as many experts as there are logits
   */
  public void run(Backend backend, Tensor logits, Routing output, ExpertPlan plan) {
    int numTokens = reserve(logits, output);
    int numExperts = (int) logits.dim(1);
    plan.reserve(numTokens * topK(numExperts), numExperts);
    NativeCall call = NativeCall.enter();
    try {
      check(backend, logits, output);
      plan.requireOpen();
      plan.requireIn(backend.memory());
      TopKRouterArguments arguments = describe(call, logits, output);
      ExpertPlanArguments planned = call.arguments().expertPlan;
      plan.describe(output, planned);
      Status status = Internals.kernels(backend).topKRouterWithPlan(arguments, planned);
      if (status != null) {
        finish(status, arguments, numTokens, output);
        plan.setNotReadBack(output);
        return;
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(logits);
      Reference.reachabilityFence(output);
      Reference.reachabilityFence(plan);
    }
    run(backend, logits, output);
    plan.build(backend, output, numExperts);
  }

  private int reserve(Tensor logits, Routing output) {
    logits.require("logits", F32, ANY, ANY);
    int numTokens = Math.toIntExact(logits.dim(0));
    requireExperts(logits.dim(1));
    output.reserve(numTokens, Math.multiplyExact(numTokens, topK(logits.dim(1))));
    return numTokens;
  }

  private void check(Backend backend, Tensor logits, Routing output) {
    TensorMemory memory = backend.memory();
    logits.requireIn("logits", memory);
    output.requireOpen();
    output.requireIn(memory);
    if (options.correctionBias == null) return;
    options.correctionBias.require("correctionBias", F32, logits.dim(1));
    options.correctionBias.requireIn("correctionBias", memory);
  }

  private TopKRouterArguments describe(NativeCall call, Tensor logits, Routing output) {
    return call.arguments()
        .topKRouter
        .logits(address(logits))
        .correctionBias(addressOrNull(options.correctionBias))
        .tokenOffsets(address(output.tokenOffsets()))
        .expertIds(address(output.expertIds()))
        .routingWeights(address(output.routingWeights()))
        .numTokens(logits.dim(0))
        .numExperts(logits.dim(1))
        .topK(topK(logits.dim(1)))
        .minExperts(options.minExperts)
        .numExpertGroups(options.numExpertGroups)
        .topKGroups(options.topKGroups)
        .score(options.score.ordinal())
        .groupScore(options.groupScore.ordinal())
        .renormalise(options.renormalise ? 1 : 0)
        .fallbackTop1(options.emptyPolicy == EmptyPolicy.FALLBACK_TOP1 ? 1 : 0)
        .scalingFactor(options.scalingFactor)
        .threshold(options.threshold)
        .topP(options.topP)
        .minP(options.minP)
        .skipBelow(options.skipBelow);
  }

  private static void finish(
      Status status, TopKRouterArguments arguments, int numTokens, Routing output) {
    if (status == Status.REFUSED) throw new InvalidLogitsException(arguments.detail());
    output.set(numTokens, (int) arguments.detail());
  }

  /**
   * Checks that the rule fits this many experts.
   *
   * @throws IllegalArgumentException naming what does not fit
   */
  public void requireExperts(long numExperts) {
    options.check(numExperts);
  }

  /** Whether every token gets the same number of experts, whatever its logits. */
  public boolean choosesFixedNumber() {
    return (score() == Score.SOFTMAX || score() == Score.SIGMOID)
        && topP() == 0
        && minP() == 0
        && skipBelow() == 0;
  }

  /** The most experts that a token can get, of this many. */
  public int topK(long numExperts) {
    return (int) Math.min(options.topK, numExperts);
  }

  public Score score() {
    return options.score;
  }

  /** Added to the scores that experts are chosen by, or null. */
  public Tensor correctionBias() {
    return options.correctionBias;
  }

  /** The fewest experts that the adaptive rules leave. */
  public int minExperts() {
    return options.minExperts;
  }

  /** 1: no groups. */
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

  /** 0: off, as for the next two. */
  public float topP() {
    return options.topP;
  }

  public float minP() {
    return options.minP;
  }

  public float skipBelow() {
    return options.skipBelow;
  }

  /** The options of a router; each has the default that its method names. */
  public static final class Builder {
    private final Score score;
    private int topK;
    private Tensor correctionBias;
    private int minExperts = 1;
    private int numExpertGroups = 1;
    private int topKGroups = 1;
    private GroupScore groupScore = GroupScore.MAX;
    private boolean renormalise = true;
    private float scalingFactor = 1;
    private float threshold;
    private EmptyPolicy emptyPolicy = EmptyPolicy.FALLBACK_TOP1;
    private float topP;
    private float minP;
    private float skipBelow;

    private Builder(Score score, int topK) {
      if (topK < 1) throw new IllegalArgumentException("topK must be at least 1, found " + topK);
      this.score = score;
      this.topK = topK;
    }

    private Builder(Builder other) {
      this(other.score, other.topK);
      correctionBias = other.correctionBias;
      minExperts = other.minExperts;
      numExpertGroups = other.numExpertGroups;
      topKGroups = other.topKGroups;
      groupScore = other.groupScore;
      renormalise = other.renormalise;
      scalingFactor = other.scalingFactor;
      threshold = other.threshold;
      emptyPolicy = other.emptyPolicy;
      topP = other.topP;
      minP = other.minP;
      skipBelow = other.skipBelow;
    }

    /**
     * Whether the kept weights are scaled to sum 1. Default: true. Sigmoid adds 1e-20 to the sum,
     * as DeepSeek-V3 does.
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
     * Softmax and sigmoid: what is added to the scores that experts are chosen by; weights come
     * from the scores without it. Default: none.
     *
     * @param bias [numExperts] f32, finite; the caller's, open while the router is used
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
     * Softmax and sigmoid: experts in equal consecutive groups, of which only those of the best
     * groups are eligible. Default: one group.
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
     * Sparsemax and thresholds: the most experts of a token; sparsemax is solved again on the
     * largest. Default: no limit.
     */
    public Builder maxExperts(int maxExperts) {
      requireScore("maxExperts", Score.SPARSEMAX, Score.HARD_THRESHOLD, Score.SHIFTED_THRESHOLD);
      if (maxExperts < 1)
        throw new IllegalArgumentException("maxExperts must be at least 1, found " + maxExperts);
      topK = maxExperts;
      return this;
    }

    /**
     * The fewest experts that the three rules below leave to a token that had as many. Default: 1.
     */
    public Builder minExperts(int minExperts) {
      if (minExperts < 1)
        throw new IllegalArgumentException("minExperts must be at least 1, found " + minExperts);
      this.minExperts = minExperts;
      return this;
    }

    /**
     * Softmax: of the topK, keep the fewest whose probabilities (of all experts) sum to at least p.
     * Default: off.
     */
    public Builder topP(float p) {
      topP = share("topP", p, Score.SOFTMAX);
      return this;
    }

    /** Softmax: of the topK, keep those at least p times as probable as the best. Default: off. */
    public Builder minP(float p) {
      minP = share("minP", p, Score.SOFTMAX);
      return this;
    }

    /** Drop choices whose weight is below this share of the first choice's. Default: off. */
    public Builder skipBelow(float share) {
      skipBelow = share("skipBelow", share, Score.values());
      return this;
    }

    /**
     * Thresholds: what happens to a token with no expert above. Default: {@link
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
      if ((topP > 0 || minP > 0) && (correctionBias != null || numExpertGroups > 1)) {
        throw new IllegalArgumentException(
            "topP and minP must not be combined with correctionBias or groups: probabilities would"
                + " not descend");
      }
      return new TopKRouter(new Builder(this));
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

    private void check(long numExperts) {
      if (numExperts < 1)
        throw new IllegalArgumentException(
            "logits must have at least 1 expert, found " + numExperts);
      if (numExperts % numExpertGroups != 0) {
        throw new IllegalArgumentException(
            "number of experts must be a multiple of the "
                + numExpertGroups
                + " groups, found "
                + numExperts);
      }
      long eligible = numExperts / numExpertGroups * topKGroups;
      if (topK > eligible && (score == Score.SOFTMAX || score == Score.SIGMOID)) {
        throw new IllegalArgumentException(
            "topK must be at most the number of eligible experts, " + eligible + ", found " + topK);
      }
    }
  }
}
