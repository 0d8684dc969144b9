package org.winnow.moe;

import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.ExpertPlan;
import org.winnow.op.GroupedGemm;
import org.winnow.op.MoeCombine;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;
import static org.winnow.DType.BF16;
import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.util.Arrays;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TurnLock;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.op.GroupedGemm.Product;

/**
 * A mixture-of-experts feed-forward layer: each token goes to the few experts that a router chooses
 * for it.
 *
 * <pre>{@code
 * output[t] = sum_{i chosen for t} weight[t, i] * expert_i(hidden[t])  +  sigmoid(sharedGate(hidden[t])) *
 * shared(hidden[t])
 * expert_i(x) = down_i(activation(gate_i(x), up_i(x)))
 * }</pre>
 *
 * <p>Over weights of the caller's own:
 *
 * <pre>{@code
 * try (Linear router = new Linear(routerWeight, null);
 *     ResidentExperts experts = ResidentExperts.stacked(gate, up, down);
 *     MoeLayer layer = MoeLayer.builder(router, TopKRouter.softmax(2).build(), experts).build()) {
 *   layer.forward(backend, hidden, output);
 * }
 * }</pre>
 *
 * <p>The layer's own tensors lie where the router's weight does; all others must too.
 *
 * <p>A batch that needs more experts than can be acquired at once is computed in waves, those that
 * are resident first. The output has the same bits whatever the waves and the number of threads; on
 * the CPU also whatever the batch, while CUDA adds up in another order from a size of batch on.
 * Calls from several threads are served one after the other. After the first call of a size no
 * tensor is allocated.
 */
public final class MoeLayer implements AutoCloseable {
  private final Linear router;
  private final TopKRouter rule;
  private final Experts experts;
  private final Activation activation;
  private final FeedForward shared;
  private final Linear sharedGate;
  private final boolean everyExpert;
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
    TensorMemory memory = router.weight().memory();
    try {
      routing = open.keep(new Routing(memory));
      plan = open.keep(new ExpertPlan(memory));
      waves = open.keep(new ExpertWaves(experts, memory));
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
   * @param router hidden state to one logit per expert
   * @param rule which experts the logits choose
   * @param experts their weights
   * @throws IllegalArgumentException if their sizes do not fit together
   */
  public static Builder builder(Linear router, TopKRouter rule, Experts experts) {
    return new Builder(router, rule, experts);
  }

  /**
   * Computes the layer.
   *
   * @param hidden [numTokens, hiddenSize], f32 or bf16; the experts' inner layer is of the same
   *     type
   * @param output [numTokens, hiddenSize], f32 or bf16, overwritten; must not overlap hidden
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws org.winnow.InvalidLogitsException naming the first token for which the router's logits
   *     hold a NaN
   * @throws org.winnow.ExpertReadException if a weight cannot be read
   * @throws IllegalStateException if a tensor, this layer, a part of it or the backend is closed
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
   * Whether the two halves of {@link #forward}, {@link #choose} and {@link #computeHeld}, can be
   * captured for batches of one size: the number of experts per token is always the same.
   */
  public boolean canCapture() {
    return !everyExpert && rule.choosesFixedNumber();
  }

  /**
   * Whether the host has to hold the chosen experts between the two halves. If not, {@link
   * #forward} can be captured whole, after {@link #prepareCapture}.
   */
  public boolean needsHost() {
    return !experts.isAlwaysResident();
  }

  /** Hands over to the device what {@link #forward} could not while it is being captured. */
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
   * The first half of {@link #forward}: which experts each token goes to. Until {@link #release} no
   * other thread may use this layer: it would overwrite the choice.
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
      // now: while experts are held, no tensor is replaced
      inner.get(hidden.dtype(), plan.numRows(), experts.intermediateSize());
      expertOutput.get(F32, plan.numRows(), experts.hiddenSize());
    } finally {
      lock.unlock();
    }
  }

  /**
   * Between the halves, also when the first ran as a captured step: waits for the choice and
   * acquires the experts. The caller ends that with {@link #release}; other threads' calls of this
   * layer wait until then.
   *
   * @return false if they cannot all be held at once: nothing is held then, and {@link #forward}
   *     computes them in waves
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
   * The second half of {@link #forward}: computes the experts that are held.
   *
   * @param hidden as given to {@link #choose}
   * @param output [numTokens, hiddenSize], f32 or bf16, overwritten; must not overlap hidden
   */
  public void computeHeld(Backend backend, Tensor hidden, Tensor output) {
    lock.lock();
    try {
      requireOutput(hidden, output);
      requireRouted();
      if (waves.experts() == null)
        throw new IllegalStateException("MoE layer holds no experts: call hold() first");
      hidden.require("hidden", inner.last().dtype(), plan.numTokens(), experts.hiddenSize());
      multiplyHeld(backend, hidden, true);
      combine(backend, output);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Ends what {@link #hold} began.
   *
   * @throws IllegalStateException if this thread has not begun it
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

  /** Tables of addresses are copied to a device when they are asked for. */
  private void handOverTables() {
    experts.gateUp().handOver();
    experts.down().handOver();
  }

  private void multiplyHeld(Backend backend, Tensor hidden, boolean withShared) {
    multiply(
        backend,
        product(hidden, plan.sourceRows(), experts.gateUp(), activation, inner.last()),
        withShared ? sharedDown() : null);
    multiply(
        backend, product(inner.last(), null, experts.down(), Activation.NONE, expertOutput.last()));
  }

  private Product sharedDown() {
    return shared == null ? null : shared.down(sharedInner.last(), sharedOutput.last());
  }

  private void combine(Backend backend, Tensor output) {
    MoeCombine.run(
        backend,
        expertOutput.last(),
        routing,
        plan,
        sharedOutput.last(),
        sharedGateLogits.last(),
        output);
  }

  /**
   * Only the router's choice, for statistics and for reading ahead.
   *
   * @param hidden [numTokens, hiddenSize], f32 or bf16
   * @param output overwritten
   */
  public void route(Backend backend, Tensor hidden, Routing output) {
    lock.lock();
    try {
      requireHidden(hidden);
      Tensor scores = logits.get(F32, hidden.dim(0), experts.numExperts());
      router.run(backend, hidden, scores);
      rule.run(backend, scores, output);
    } finally {
      lock.unlock();
    }
  }

  /** What the last {@link #forward} chose; the next one overwrites it. */
  public Routing routing() {
    return routing;
  }

  /**
   * What the router said of each expert in the last {@link #forward} or {@link #route}: [numTokens,
   * numExperts] f32, overwritten by the next one.
   *
   * @throws IllegalStateException if there was none yet
   */
  public Tensor routerLogits() {
    lock.lock();
    try {
      requireOpen();
      requireRouted();
      return logits.last();
    } finally {
      lock.unlock();
    }
  }

  /** The experts given at construction. */
  public Experts experts() {
    return experts;
  }

  /**
   * Releases the workspace; router, experts and shared experts stay the caller's. May be called
   * twice, and waits for a running call.
   */
  @Override
  public void close() {
    NativeCall.requireOutside();
    lock.lock(); // until a call that is running has ended; none begins after that
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
    hidden.requireFloating("hidden", ANY, experts.hiddenSize());
    if (hidden.dtype() != F32 && hidden.dtype() != BF16) {
      throw new IllegalArgumentException("hidden must be f32 or bf16, found " + hidden.dtype());
    }
  }

  /** The router's logits, and beside them whatever else of the layer reads nothing but hidden. */
  private Tensor score(Backend backend, Tensor hidden) {
    long numTokens = hidden.dim(0);
    Tensor scores = logits.get(F32, numTokens, experts.numExperts());
    Product sharedGateUp = null;
    Product gate = null;
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
    plan.build(backend, routing, experts.numExperts());
  }

  /** Adds to each token the experts it did not choose, ascending, with weight 0. */
  private void addUnchosen() {
    int numTokens = routing.numTokens();
    int numExperts = experts.numExperts();
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

  /** Of the experts of this wave. */
  private Product product(
      Tensor input, Tensor sourceRows, ExpertMatrices weights, Activation act, Tensor output) {
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

  /** Those that are not null, in one launch where the backend can. */
  private void multiply(Backend backend, Product... products) {
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

  /** The parts of a layer; each has the default that its method names. */
  public static final class Builder {
    private final Linear router;
    private final TopKRouter rule;
    private final Experts experts;
    private Activation activation = Activation.SILU;
    private FeedForward shared;
    private Linear sharedGate;
    private boolean everyExpert;

    private Builder(Linear router, TopKRouter rule, Experts experts) {
      require("router input", experts.hiddenSize(), router.inputSize());
      require("router output", experts.numExperts(), router.outputSize());
      rule.requireExperts(experts.numExperts());
      this.router = router;
      this.rule = rule;
      this.experts = experts;
    }

    /** What the experts' gate goes through. Default: SILU. */
    public Builder activation(Activation activation) {
      this.activation = activation;
      return this;
    }

    /** Experts that every token goes to. Default: none. */
    public Builder shared(FeedForward shared) {
      require("shared", experts.hiddenSize(), shared.hiddenSize());
      this.shared = shared;
      return this;
    }

    /**
     * The shared experts' weight per token is the sigmoid of this, as in Qwen2-MoE. Default: they
     * count in full.
     *
     * @param gate hidden state to one logit
     */
    public Builder sharedGate(Linear gate) {
      require("shared gate input", experts.hiddenSize(), gate.inputSize());
      require("shared gate output", 1, gate.outputSize());
      sharedGate = gate;
      return this;
    }

    /**
     * Whether to compute every expert for every token, those that were not chosen with weight 0:
     * what a dense layer of the same weights does, to compare with. The output has the same bits,
     * as long as no expert overflows and, on CUDA, the larger number of rows is added up in the
     * same order. Default: no.
     */
    public Builder everyExpert(boolean computesEveryExpert) {
      everyExpert = computesEveryExpert;
      return this;
    }

    /**
     * @throws IllegalArgumentException if there is a gate for shared experts but none of these
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
