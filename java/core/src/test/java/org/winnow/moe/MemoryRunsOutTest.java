package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.BudgetException;
import org.winnow.DType;
import org.winnow.ScarceMemory;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.Workspace;
import org.winnow.attention.MlaAttention;
import org.winnow.internal.MirroredTensor;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.SyntheticExperts;
import org.winnow.op.Activation;
import org.winnow.op.ExpertPlan;
import org.winnow.op.KvCache;
import org.winnow.op.Rope;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * Tests that an object with several allocations leaks none if one of them fails, and that an object
 * which fails to grow stays usable.
 */
class MemoryRunsOutTest {
  private final ScarceMemory scarce = new ScarceMemory();
  private final TensorMemory memory = scarce.memory();
  private final Tensor square = Tensor.allocate(memory, DType.F32, 8, 8);
  private final Tensor halves = Tensor.allocate(memory, DType.BF16, 8);
  private final Linear linear = new Linear(square, null);

  @AfterEach
  void close() {
    linear.close();
    square.close();
    halves.close();
    assertThat(scarce.usedBytes()).isZero();
  }

  /** Creates the object with room for no allocation, then for one, and so on until it succeeds. */
  private void assertLeavesNothing(int minAllocations, Supplier<? extends AutoCloseable> made)
      throws Exception {
    long before = scarce.usedBytes();
    for (int room = 0; ; room++) {
      scarce.allocationsLeft = room;
      try (AutoCloseable whole = made.get()) {
        assertThat(whole).isNotNull();
        assertThat(room).isGreaterThanOrEqualTo(minAllocations);
        break;
      } catch (BudgetException e) {
        assertThat(scarce.usedBytes()).as("with room for " + room).isEqualTo(before);
      }
    }
    scarce.allocationsLeft = Integer.MAX_VALUE;
    assertThat(scarce.usedBytes()).isEqualTo(before);
  }

  @Test
  void tensors() throws Exception {
    assertLeavesNothing(1, () -> Tensor.of(memory, new float[] {1, 2}, 2));
    assertLeavesNothing(1, () -> Tensor.copyOf(memory, square));
    assertLeavesNothing(1, () -> new MirroredTensor(memory, DType.I32, 3));
    long before = scarce.usedBytes();
    assertThatThrownBy(() -> Tensor.of(memory, new float[3], 4))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> Tensor.of(memory, new int[3], 4))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(scarce.usedBytes()).isEqualTo(before);
  }

  @Test
  void routingsAndPlans() throws Exception {
    assertLeavesNothing(3, () -> new Routing(memory));
    assertLeavesNothing(4, () -> new ExpertPlan(memory));
  }

  @Test
  void matricesAndLayers() throws Exception {
    assertLeavesNothing(2, () -> new Linear(square, halves));
    assertLeavesNothing(2, () -> new FeedForward(linear, linear, linear, Activation.SILU));
    Tensor[] both = {square, square};
    assertLeavesNothing(2, () -> new ResidentExperts(both, both, both));
    try (var experts = new ResidentExperts(both, both, both);
        Tensor weight = Tensor.allocate(memory, DType.F32, 2, 8);
        Linear router = new Linear(weight, null)) {
      assertLeavesNothing(
          8, () -> MoeLayer.builder(router, TopKRouter.softmax(1).build(), experts).build());
    }
  }

  @Test
  void latentAttention() throws Exception {
    try (Tensor norm = Tensor.allocate(memory, DType.F32, 8);
        Tensor up = Tensor.allocate(memory, DType.F32, 2 * (3 + 4), 8);
        Tensor query = Tensor.allocate(memory, DType.F32, 2 * (3 + 2), 8);
        Tensor down = Tensor.allocate(memory, DType.F32, 8 + 2, 8);
        Tensor output = Tensor.allocate(memory, DType.F32, 8, 2 * 4);
        Linear queryUp = new Linear(query, null);
        Linear latentDown = new Linear(down, null);
        Linear out = new Linear(output, null)) {
      var geometry = new MlaAttention.Geometry(2, 3, 2, 4, 1, 1e-6f, Rope.Layout.INTERLEAVED);
      var weights = new MlaAttention.Weights(null, null, queryUp, latentDown, norm, up, out);
      assertLeavesNothing(3, () -> new MlaAttention(geometry, weights));
    }
  }

  @Test
  void caches(@TempDir Path folder) throws Exception {
    assertLeavesNothing(3, () -> new KvCache(memory, DType.F32, 2, 1, 4, 4, 200));
    var experts =
        new SyntheticExperts(
            folder.resolve("weights"), SyntheticExperts.Layout.SEPARATE, DType.BF16, 3, 2, 8, 8, 0);
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      assertLeavesNothing(
          6,
          () -> new ExpertCache(experts.store(checkpoint), memory, 1 << 20, EvictionPolicy.lru()));
    }
  }

  @Test
  void aWorkspaceThatCannotGrowServesSmallBatchesAgain() {
    try (Workspace workspace = new Workspace(memory)) {
      workspace.get(DType.F32, 4, 3);
      scarce.allocationsLeft = 0;
      assertThatThrownBy(() -> workspace.get(DType.F32, 5, 3)).isInstanceOf(BudgetException.class);
      scarce.allocationsLeft = 1;
      assertThat(workspace.get(DType.F32, 4, 3).isClosed()).isFalse();
    }
  }
}
