package org.winnow.fuzz;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.assertj.core.api.AbstractThrowableAssert;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.attention.RopeFrequencies;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm;
import org.winnow.op.KvCache;
import org.winnow.op.StridedCopy;
import org.winnow.op.TopKRouter;

/** Calls that once gave an exception which no documentation names. */
class RefusalsTest {
  private static final long HUGE = 1L << 62;

  private final Backend backend = new CpuBackend(InstructionSet.best(), 1);

  private static AbstractThrowableAssert<?, ?> refused(ThrowingCallable call) {
    return assertThatThrownBy(call).isExactlyInstanceOf(IllegalArgumentException.class);
  }

  private static void outOfRange(ThrowingCallable call) {
    assertThatThrownBy(call).isExactlyInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void anAxisThatATensorHasNot() {
    try (Tensor tensor = Tensor.f32(2, 3)) {
      outOfRange(() -> tensor.dim(2));
      outOfRange(() -> tensor.dim(-1));
    }
  }

  @Test
  void aShapeOfMoreElementsThanCanBeCounted() {
    try (Tensor tensor = Tensor.f32(2, 3)) {
      refused(() -> tensor.reshape(HUGE, HUGE)).hasMessageContaining("shape");
    }
  }

  @Test
  void aLayerThatAKeyValueCacheHasNot() {
    try (KvCache cache = new KvCache(1, 1, 2, 2, 8)) {
      outOfRange(() -> cache.written(1));
    }
  }

  @Test
  void latentsWiderThanAnIntCounts() {
    refused(() -> KvCache.ofLatents(1, Integer.MAX_VALUE, 2, 8)).hasMessageContaining("atentWidth");
  }

  @Test
  void aPairThatARotaryPartHasNot() {
    outOfRange(() -> RopeFrequencies.standard(4, 10000).frequency(2));
  }

  @Test
  void stridesThatLeaveTheRangeOfLong() {
    try (Tensor source = backend.f32(8);
        Tensor destination = backend.f32(8)) {
      refused(() -> StridedCopy.run(backend, source, 0, HUGE, 0, destination, 0, 1, 1, 3, 1, 1))
          .hasMessageContaining("source");
      refused(() -> StridedCopy.run(backend, source, 0, 1, 1, destination, 0, 1, HUGE, 1, 3, 1))
          .hasMessageContaining("destination");
    }
  }

  @Test
  void expertsThatALayerHasNot() {
    try (Tensor weight = Tensor.f32(2, 3, 3);
        ResidentExperts experts = ResidentExperts.stacked(weight, null, weight)) {
      refused(() -> experts.acquire(new int[] {2}, 1)).hasMessageContaining("expert");
      refused(() -> experts.acquire(new int[] {-1}, 1)).hasMessageContaining("expert");
      refused(() -> experts.acquire(new int[] {0}, 2)).hasMessageContaining("count");
      refused(() -> experts.acquire(new int[] {0}, -1)).hasMessageContaining("count");
      assertThatThrownBy(experts::release).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void indicesOfAGroupedProductThatDoNotFit() {
    try (ExpertMatrices matrices = new ExpertMatrices(WeightFormat.F32, 1, 2, 2, false, false);
        Tensor input = backend.f32(1, 2);
        Tensor output = backend.f32(1, 2);
        Tensor offsets = backend.of(new int[] {0, 5}, 2);
        Tensor active = backend.of(new int[] {0}, 1)) {
      refused(
              () ->
                  GroupedGemm.run(
                      backend, input, null, offsets, active, 1, matrices, Activation.NONE, output))
          .hasMessageContaining("expertOffsets");
    }
  }

  @Test
  void aSecondHalfWithoutTheFirst() {
    try (Tensor routerWeight = Tensor.f32(2, 3);
        Linear router = new Linear(routerWeight, null);
        Tensor weight = Tensor.f32(2, 3, 3);
        ResidentExperts experts = ResidentExperts.stacked(weight, null, weight);
        MoeLayer layer = MoeLayer.builder(router, TopKRouter.softmax(1).build(), experts).build();
        Tensor hidden = backend.f32(1, 3);
        Tensor output = backend.f32(1, 3)) {
      assertThatThrownBy(() -> layer.computeHeld(backend, hidden, output))
          .isInstanceOf(IllegalStateException.class);
      layer.choose(backend, hidden);
      assertThatThrownBy(() -> layer.computeHeld(backend, hidden, output)) // nothing is held
          .isInstanceOf(IllegalStateException.class);
    }
  }
}
