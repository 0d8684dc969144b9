package org.winnow.moe;

import static org.winnow.DType.BF16;
import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.internal.TurnLock;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.op.Activation;
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
 * and begins with resident experts. While some experts of a wave are computed, others are read.
 * Waves and threads do not change the output's bits. On the CPU the rest of the batch does not
 * change a token's bits either; CUDA uses another order of summation for large batches. Calls from
 * several threads run one after the other. Only the first call of a batch size allocates tensors.
 */
public final class MoeLayer implements AutoCloseable {
  private final Experts experts;
  private final long hiddenSize;
  private final ExpertChoice choice;
  private final ExpertWaves waves;
  private final RoutedExperts routed;
  private final Resources open = new Resources();
  private final TurnLock lock = new TurnLock("MoE layer");
  private boolean closed;

  private MoeLayer(Builder builder) {
    experts = builder.experts;
    hiddenSize = builder.router.inputSize();
    TensorMemory memory = builder.router.weight().memory();
    SharedExperts shared = open.keep(new SharedExperts(builder, memory));
    try {
      choice = open.keep(new ExpertChoice(builder, shared, memory));
      waves = open.keep(new ExpertWaves(experts, builder.numExperts, memory));
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
    routed = open.keep(new RoutedExperts(builder, choice, shared, waves, memory));
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
      try {
        for (waves.begin(choice.plan); waves.next(); first = false)
          routed.multiply(backend, hidden, first);
      } finally {
        waves.end();
      }
      if (first) routed.multiplyShared(backend); // no token had an expert
      routed.combine(backend, output);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whether {@link #choose} and {@link #computeHeld}, the two halves of {@link #forward}, can be
   * captured for one batch size. This requires a fixed number of experts per token.
   */
  public boolean canCapture() {
    return choice.canCapture();
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
        routed.handOverTables();
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
      choice.run(backend, hidden);
      routed.reserve(hidden.dtype(), hiddenSize);
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
      choice.requireRouted();
      choice.plan.forgetReadBack();
      waves.beginReadBack(choice.plan);
      if (!waves.isOneWave()) return false;
      waves.acquireOneWave();
      try {
        routed.handOverTables();
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
      choice.requireRouted();
      if (!waves.hasWave())
        throw new IllegalStateException("MoE layer holds no experts: call hold() first");
      hidden.require("hidden", routed.innerType(), choice.plan.numTokens(), hiddenSize);
      routed.multiply(backend, hidden, true);
      routed.combine(backend, output);
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
      choice.route(backend, hidden, output);
    } finally {
      lock.unlock();
    }
  }

  /** The choice of the last {@link #forward}. The next call overwrites it. */
  public Routing routing() {
    return choice.routing;
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
      choice.requireRouted();
      return choice.logits();
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

  /** Builds a layer. Each method documents its default. */
  public static final class Builder {
    final Linear router;
    final TopKRouter rule;
    final Experts experts;
    final int numExperts;
    final long intermediateSize;
    Activation activation = Activation.SILU;
    @Nullable FeedForward shared;
    @Nullable Linear sharedGate;
    boolean everyExpert;

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
