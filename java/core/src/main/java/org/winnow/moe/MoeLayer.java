package org.winnow.moe;

import static org.winnow.DType.BF16;
import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TurnLock;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.GroupedGemm.Product;
import org.winnow.op.MoeCombine;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * A mixture-of-experts feed-forward layer: a router chooses a few experts for each token, and the
 * layer adds up their weighted outputs.
 *
 * <pre>{@code
 * output[t]   = sum_{i chosen for t} weight[t, i] * expert_i(hidden[t])
 *             + sigmoid(sharedGate(hidden[t])) * shared(hidden[t])
 * expert_i(x) = down_i(activation(gate_i(x), up_i(x)))
 * }</pre>
 *
 * <p>Example with weights of the caller:
 *
 * <pre>{@code
 * try (Linear router = new Linear(routerWeight, null);
 *     ResidentExperts experts = ResidentExperts.stacked(gate, up, down);
 *     MoeLayer layer = MoeLayer.builder(router, TopKRouter.softmax(2).build(), experts).build()) {
 *   layer.forward(backend, hidden, output);
 * }
 * }</pre>
 *
 * <p>The layer allocates in the memory of the router's weight. All arguments must lie in the same
 * memory.
 *
 * <p>If a batch needs more experts than can be acquired at once, the layer computes them in waves
 * and begins with resident experts. Waves and threads do not change the output's bits. On the CPU
 * the rest of the batch does not change a token's bits either; CUDA uses another order of summation
 * for large batches. Calls from several threads run one after the other. Only the first call of a
 * batch size allocates tensors.
 */
public final class MoeLayer implements AutoCloseable {
  private final Linear router;
  private final TopKRouter rule;
  private final Experts experts;
  private final Activation activation;
  private final @Nullable FeedForward shared;
  private final @Nullable Linear sharedGate;
  private final boolean everyExpert;
  private final int numExperts;
  private final long hiddenSize;
  private final long intermediateSize;
  private final Routing routing;
  private final ExpertPlan plan;
  private final ExpertWaves waves;
  private final Workspace logits;
  private final Workspace inner;
  private final Workspace expertOutput;
  private final Workspace sharedInner;
  private final Workspace sharedOutput;
  private final Workspace sharedGateLogits;
  private final Resources open = new Resources();
  private final TurnLock lock = new TurnLock("MoE layer");
  private boolean closed;

  private MoeLayer(Builder builder) {
    router = builder.router;
    rule = builder.rule;
    experts = builder.experts;
    activation = builder.activation;
    shared = builder.shared;
    sharedGate = builder.sharedGate;
    everyExpert = builder.everyExpert;
    numExperts = builder.numExperts;
    hiddenSize = router.inputSize();
    intermediateSize = builder.intermediateSize;
    TensorMemory memory = router.weight().memory();
    try {
      routing = open.keep(new Routing(memory));
      plan = open.keep(new ExpertPlan(memory));
      waves = open.keep(new ExpertWaves(experts, numExperts, memory));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
    logits = open.keep(new Workspace(memory));
    inner = open.keep(new Workspace(memory));
    expertOutput = open.keep(new Workspace(memory));
    sharedInner = open.keep(new Workspace(memory));
    sharedOutput = open.keep(new Workspace(memory));
    sharedGateLogits = open.keep(new Workspace(memory));
  }

  /**
   * @param router linear map from the hidden state to one logit per expert
   * @param rule rule that chooses experts from the logits
   * @param experts the experts' weights
   * @throws IllegalArgumentException if the sizes do not match
   */
  public static Builder builder(Linear router, TopKRouter rule, Experts experts) {
    return new Builder(router, rule, experts);
  }

  /**
   * Computes the layer.
   *
   * @param hidden [numTokens, hiddenSize], f32 or bf16; the experts' inner layer has the same type
   * @param output [numTokens, hiddenSize], f32 or bf16, overwritten; must not overlap hidden
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws org.winnow.InvalidLogitsException naming the first token for which the router's logits
   *     hold a NaN
   * @throws org.winnow.ExpertReadException if a weight cannot be read
   * @throws IllegalStateException if a tensor, this layer, one of its parts or the backend is
   *     closed
   */
  public void forward(Backend backend, Tensor hidden, Tensor output) {
    lock.lock();
    try {
      requireOutput(hidden, output);
      choose(backend, hidden);
      boolean first = true;
      for (waves.begin(plan); waves.next(); first = false) {
        try {
          multiplyHeld(backend, hidden, first);
        } finally {
          experts.release();
        }
      }
      if (first) multiply(backend, sharedDown(), null); // no token had an expert
      combine(backend, output);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whether {@link #choose} and {@link #computeHeld}, the two halves of {@link #forward}, can be
   * captured for one batch size. This requires a fixed number of experts per token.
   */
  public boolean canCapture() {
    return !everyExpert && rule.choosesFixedNumber();
  }

  /**
   * Whether the host must call {@link #hold} between the two halves, because experts may be
   * missing. If not, {@link #forward} as a whole can be captured after {@link #prepareCapture}.
   */
  public boolean needsHost() {
    return !experts.isAlwaysResident();
  }

  /**
   * Copies tables of addresses to the device, which {@link #forward} cannot do while it is being
   * captured.
   */
  public void prepareCapture() {
    lock.lock();
    try {
      requireOpen();
      experts.acquireAll();
      try {
        handOverTables();
      } finally {
        experts.release();
      }
    } finally {
      lock.unlock();
    }
  }

  /**
   * The first half of {@link #forward}: chooses the experts of each token. No other thread may use
   * this layer until {@link #release}, because it would overwrite the choice.
   *
   * @param hidden [numTokens, hiddenSize], f32 or bf16
   */
  public void choose(Backend backend, Tensor hidden) {
    lock.lock();
    try {
      requireHidden(hidden);
      hidden.requireIn("hidden", backend.memory());
      Tensor scores = score(backend, hidden);
      routeAndPlan(backend, scores);
      // allocated here, because no tensor may be replaced while experts are held
      inner.get(hidden.dtype(), plan.numRows(), intermediateSize);
      expertOutput.get(F32, plan.numRows(), hiddenSize);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Waits for the choice of {@link #choose}, which may have run as a captured step, and acquires
   * the chosen experts. The caller must call {@link #release}. Until then, other threads' calls of
   * this layer wait.
   *
   * @return false if they cannot all be acquired at once; no expert is held then, and the caller
   *     must use {@link #forward}, which works in waves
   * @throws org.winnow.ExpertReadException if a weight cannot be read
   */
  public boolean hold() {
    lock.lock();
    boolean held = false;
    try {
      requireOpen();
      requireRouted();
      plan.forgetReadBack();
      waves.beginReadBack(plan);
      if (!waves.isOneWave()) return false;
      waves.next();
      try {
        handOverTables();
        held = true;
        return true;
      } finally {
        if (!held) experts.release();
      }
    } finally {
      if (!held) lock.unlock();
    }
  }

  /**
   * The second half of {@link #forward}: computes the held experts.
   *
   * @param hidden the argument of {@link #choose}
   * @param output [numTokens, hiddenSize], f32 or bf16, overwritten; must not overlap hidden
   */
  public void computeHeld(Backend backend, Tensor hidden, Tensor output) {
    lock.lock();
    try {
      requireOutput(hidden, output);
      requireRouted();
      if (!waves.hasWave())
        throw new IllegalStateException("MoE layer holds no experts: call hold() first");
      hidden.require("hidden", last(inner).dtype(), plan.numTokens(), hiddenSize);
      multiplyHeld(backend, hidden, true);
      combine(backend, output);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Releases the experts that {@link #hold} acquired.
   *
   * @throws IllegalStateException if this thread holds no experts of this layer
   */
  public void release() {
    if (!lock.isHeldByCurrentThread())
      throw new IllegalStateException("this thread holds no experts of this layer");
    try {
      experts.release();
    } finally {
      lock.unlock();
    }
  }

  private void requireOutput(Tensor hidden, Tensor output) {
    requireHidden(hidden);
    output.requireFloating("output", hidden.dim(0), hidden.dim(1));
    if (output.dtype() != F32 && output.dtype() != BF16) {
      throw new IllegalArgumentException("output must be f32 or bf16, found " + output.dtype());
    }
    output.requireDisjoint("output", "hidden", hidden);
  }

  /** Copies tables of addresses to the device. */
  private void handOverTables() {
    experts.gateUp().handOver();
    experts.down().handOver();
  }

  private void multiplyHeld(Backend backend, Tensor hidden, boolean withShared) {
    multiply(
        backend,
        product(hidden, plan.sourceRows(), experts.gateUp(), activation, last(inner)),
        withShared ? sharedDown() : null);
    multiply(
        backend, product(last(inner), null, experts.down(), Activation.NONE, last(expertOutput)));
  }

  private @Nullable Product sharedDown() {
    return shared == null ? null : shared.down(last(sharedInner), last(sharedOutput));
  }

  private void combine(Backend backend, Tensor output) {
    MoeCombine.run(
        backend,
        last(expertOutput),
        routing,
        plan,
        sharedOutput.last(),
        sharedGateLogits.last(),
        output);
  }

  /**
   * Computes only the router's choice, for statistics and for reading ahead.
   *
   * @param hidden [numTokens, hiddenSize], f32 or bf16
   * @param output overwritten
   */
  public void route(Backend backend, Tensor hidden, Routing output) {
    lock.lock();
    try {
      requireHidden(hidden);
      Tensor scores = logits.get(F32, hidden.dim(0), numExperts);
      router.run(backend, hidden, scores);
      rule.run(backend, scores, output);
    } finally {
      lock.unlock();
    }
  }

  /** The choice of the last {@link #forward}. The next call overwrites it. */
  public Routing routing() {
    return routing;
  }

  /**
   * The router's logits [numTokens, numExperts] f32 of the last {@link #forward} or {@link #route}.
   * The next call overwrites them.
   *
   * @throws IllegalStateException if neither has been called yet
   */
  public Tensor routerLogits() {
    lock.lock();
    try {
      requireOpen();
      requireRouted();
      return last(logits);
    } finally {
      lock.unlock();
    }
  }

  /** The experts given at construction. */
  public Experts experts() {
    return experts;
  }

  /**
   * Waits for a running call, then releases the layer's own tensors. Router, experts and shared
   * experts stay open. May be called twice.
   */
  @Override
  public void close() {
    NativeCall.requireOutside();
    lock.lock(); // waits for a running call; later calls find the layer closed
    closed = true;
    lock.unlock();
    open.close();
  }

  private void requireRouted() {
    if (logits.last() == null) throw new IllegalStateException("MoE layer has routed no token yet");
  }

  private void requireOpen() {
    if (closed) throw new IllegalStateException("MoE layer is closed");
  }

  private void requireHidden(Tensor hidden) {
    requireOpen();
    hidden.requireFloating("hidden", ANY, hiddenSize);
    if (hidden.dtype() != F32 && hidden.dtype() != BF16) {
      throw new IllegalArgumentException("hidden must be f32 or bf16, found " + hidden.dtype());
    }
  }

  /** Computes the router's logits together with the other products that read only hidden. */
  private Tensor score(Backend backend, Tensor hidden) {
    long numTokens = hidden.dim(0);
    Tensor scores = logits.get(F32, numTokens, numExperts);
    @Nullable Product sharedGateUp = null;
    @Nullable Product gate = null;
    if (shared != null) {
      sharedOutput.get(F32, numTokens, hidden.dim(1));
      sharedGateUp =
          shared.gateUp(
              hidden, sharedInner.get(hidden.dtype(), numTokens, shared.intermediateSize()));
    }
    if (sharedGate != null)
      gate = sharedGate.product(hidden, sharedGateLogits.get(F32, numTokens, 1));
    multiply(backend, router.product(hidden, scores), sharedGateUp, gate);
    return scores;
  }

  private void routeAndPlan(Backend backend, Tensor scores) {
    if (!everyExpert) {
      rule.run(backend, scores, routing, plan);
      return;
    }
    rule.run(backend, scores, routing);
    addUnchosen();
    plan.build(backend, routing, numExperts);
  }

  /** Adds to each token the experts that it did not choose, in ascending order with weight 0. */
  private void addUnchosen() {
    int numTokens = routing.numTokens();
    int[] offsets = routing.tokenOffsets().toIntArray();
    int[] chosen = routing.expertIds().toIntArray();
    float[] chosenWeights = routing.routingWeights().toFloatArray();
    int numRows = Math.multiplyExact(numTokens, numExperts);
    int[] ids = new int[numRows];
    float[] weights = new float[numRows];
    for (int token = 0; token < numTokens; token++) {
      boolean[] isChosen = new boolean[numExperts];
      int row = token * numExperts;
      for (int i = offsets[token]; i < offsets[token + 1]; i++, row++) {
        isChosen[chosen[i]] = true;
        ids[row] = chosen[i];
        weights[row] = chosenWeights[i];
      }
      for (int expert = 0; expert < numExperts; expert++)
        if (!isChosen[expert]) ids[row++] = expert;
    }
    int[] tokenOffsets = new int[numTokens + 1];
    Arrays.setAll(tokenOffsets, token -> token * numExperts);
    routing.set(tokenOffsets, ids, weights);
  }

  /** A product with the experts of this wave. */
  private Product product(
      Tensor input,
      @Nullable Tensor sourceRows,
      ExpertMatrices weights,
      Activation act,
      Tensor output) {
    return new Product(
        input,
        sourceRows,
        plan.expertOffsets(),
        waves.experts(),
        waves.numExperts(),
        weights,
        act,
        output);
  }

  /** The result that an earlier part of the same call has put there. */
  private static Tensor last(Workspace workspace) {
    Tensor last = workspace.last();
    if (last == null)
      throw new IllegalStateException("MoE layer has chosen no experts: call choose() first");
    return last;
  }

  /** Computes the products that are not null, in one launch if the backend supports that. */
  private void multiply(Backend backend, @Nullable Product... products) {
    NativeCall call = NativeCall.enter();
    try {
      router.requireOpen();
      if (shared != null) shared.requireOpen();
      if (sharedGate != null) sharedGate.requireOpen();
      GroupedGemm.runTogether(backend, products);
    } finally {
      call.exit();
    }
  }

  /** Builds a layer. Each method documents its default. */
  public static final class Builder {
    private final Linear router;
    private final TopKRouter rule;
    private final Experts experts;
    private final int numExperts;
    private final long intermediateSize;
    private Activation activation = Activation.SILU;
    private @Nullable FeedForward shared;
    private @Nullable Linear sharedGate;
    private boolean everyExpert;

    private Builder(Linear router, TopKRouter rule, Experts experts) {
      numExperts = experts.numExperts(); // asked once: they might be another program's
      intermediateSize = experts.intermediateSize();
      if (numExperts < 1)
        throw new IllegalArgumentException("experts must be at least 1, found " + numExperts);
      if (intermediateSize < 1) {
        throw new IllegalArgumentException(
            "experts' intermediate size must be at least 1, found " + intermediateSize);
      }
      require("router input", experts.hiddenSize(), router.inputSize());
      require("router output", numExperts, router.outputSize());
      rule.requireExperts(numExperts);
      this.router = router;
      this.rule = rule;
      this.experts = experts;
    }

    /** Activation of the experts' gate. Default: SILU. */
    public Builder activation(Activation activation) {
      this.activation = activation;
      return this;
    }

    /** Shared experts, which compute every token. Default: none. */
    public Builder shared(FeedForward shared) {
      require("shared", router.inputSize(), shared.hiddenSize());
      this.shared = shared;
      return this;
    }

    /**
     * A gate whose sigmoid weights the shared experts per token, as in Qwen2-MoE. Default: the
     * weight is 1.
     *
     * @param gate linear map from the hidden state to one logit
     */
    public Builder sharedGate(Linear gate) {
      require("shared gate input", router.inputSize(), gate.inputSize());
      require("shared gate output", 1, gate.outputSize());
      sharedGate = gate;
      return this;
    }

    /**
     * Whether to compute every expert for every token, with weight 0 for experts that are not
     * chosen. This is a dense layer of the same weights, for comparisons. The output has the same
     * bits unless an expert overflows or, on CUDA, the larger number of rows is summed in another
     * order. Default: false.
     */
    public Builder everyExpert(boolean computesEveryExpert) {
      everyExpert = computesEveryExpert;
      return this;
    }

    /**
     * @throws IllegalArgumentException if there is a shared gate but no shared experts
     */
    public MoeLayer build() {
      if (sharedGate != null && shared == null)
        throw new IllegalArgumentException("sharedGate must not be set without shared");
      return new MoeLayer(this);
    }

    private static void require(String name, long expected, long found) {
      if (expected != found)
        throw new IllegalArgumentException(name + " size must be " + expected + ", found " + found);
    }
  }
}
