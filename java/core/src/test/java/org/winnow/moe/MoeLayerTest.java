package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

@ContractTest
public class MoeLayerTest {
  private final Backend backend = BackendsUnderTest.shared();

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1, 1, F32, F32",
    "3, 4, 2, 31, 17, F32, F32",
    "40, 8, 3, 64, 33, BF16, F32",
    "40, 8, 8, 64, 48, BF16, BF16",
    "20, 16, 4, 96, 32, F16, F32"
  })
  void agreesWithDoublePrecision(
      int numTokens,
      int numExperts,
      int topK,
      int hiddenSize,
      int intermediateSize,
      DType weights,
      DType hidden) {
    try (var p =
        new MoeLayerProblem(
            backend,
            new Random(11),
            numTokens,
            numExperts,
            topK,
            hiddenSize,
            intermediateSize,
            weights,
            hidden)) {
      for (int shared = 0; shared < 3; shared++) {
        MoeLayer.Builder builder = p.layer(p.experts);
        if (shared > 0) builder.shared(p.shared);
        if (shared > 1) builder.sharedGate(p.sharedGate);
        try (MoeLayer layer = builder.build()) {
          p.output.fill(Float.NaN);
          layer.forward(backend, p.hidden, p.output);
          p.assertCorrect(shared, 1);
          assertThat(layer.routing().numRows()).isEqualTo(numTokens * topK);
        }
      }
    }
  }

  @Test
  void theComparatorSeesOneWrongElement() {
    try (var p = problem(DType.F32);
        MoeLayer layer = p.layer(p.experts).build()) {
      layer.forward(backend, p.hidden, p.output);
      p.output.setFloat(77, p.output.getFloat(77) + 1e-4f);
      assertThatThrownBy(() -> p.assertCorrect(0, 1))
          .isInstanceOf(AssertionError.class)
          .hasMessageContaining("token 2, element 13");
      p.output.setFloat(77, Float.NaN);
      assertThatThrownBy(() -> p.assertCorrect(0, 1)).isInstanceOf(AssertionError.class);
    }
  }

  @Test
  void givesTheSameBitsForOneTokenAndForManyAndForEveryNumberOfThreads() {
    for (Variant variant : BackendsUnderTest.variantsOfIndependentRows()) {
      for (DType hiddenType : new DType[] {DType.F32, DType.BF16}) {
        try (var p = problem(variant.backend(), hiddenType)) {
          float[] expected = bits(p, variant.backend(), p.numTokens);
          assertThat(bits(p, variant.backend(), 1)).isEqualTo(expected);
          for (var opener : variant.sameBits()) {
            try (Backend other = opener.get()) {
              assertThat(bits(p, other, p.numTokens)).isEqualTo(expected);
              assertThat(bits(p, other, 1)).isEqualTo(expected);
            }
          }
        }
      }
    }
  }

  @Test
  void asksExpertsOfAnotherProgramForTheirSizesOnce() {
    try (var p = problem(DType.F32)) {
      Experts changing =
          new LimitedExperts(p.experts, p.experts.numExperts()) {
            private int timesAsked;

            @Override
            public int numExperts() {
              return timesAsked++ == 0 ? super.numExperts() : 0;
            }
          };
      try (MoeLayer layer = p.layer(changing).everyExpert(true).build()) {
        layer.forward(backend, p.hidden, p.output);
        p.assertCorrect(0, 1);
      }
    }
  }

  private static float[] bits(MoeLayerProblem p, Backend other, int tokensPerCall) {
    p.output.fill(Float.NaN);
    try (MoeLayer layer = p.layer(p.experts).shared(p.shared).sharedGate(p.sharedGate).build()) {
      for (int t = 0; t < p.numTokens; t += tokensPerCall)
        layer.forward(
            other, p.hidden.slice(t, t + tokensPerCall), p.output.slice(t, t + tokensPerCall));
    }
    return p.output.toFloatArray();
  }

  static List<Variant> matrixVariants() {
    return BackendsUnderTest.matrixVariants();
  }

  @ParameterizedTest
  @MethodSource("matrixVariants")
  void givesTheSameBitsWhateverTheWavesAndTakesResidentExpertsFirst(Variant variant) {
    Backend backend = variant.backend();
    try (var p = problem(backend, DType.F32);
        MoeLayer whole = p.layer(p.experts).build()) {
      whole.forward(backend, p.hidden, p.output);
      float[] expected = p.output.toFloatArray();
      for (int slots = 1; slots <= p.numExperts; slots++) {
        LimitedExperts limited = new LimitedExperts(p.experts, slots);
        try (MoeLayer layer = p.layer(limited).build()) {
          for (int round = 0; round < 2; round++) {
            limited.waves.clear();
            p.output.fill(Float.NaN);
            layer.forward(backend, p.hidden, p.output);
            assertThat(p.output.toFloatArray()).isEqualTo(expected);
            assertThat(limited.waves.stream().mapToInt(List::size).sum()).isEqualTo(p.numExperts);
            assertThat(limited.waves)
                .allMatch(wave -> wave.equals(wave.stream().sorted().toList()));
            if (round == 0 || slots == p.numExperts) assertThat(limited.waves.get(0)).startsWith(0);
            else
              assertThat(limited.waves.get(0))
                  .as("the last wave of the first round is still resident")
                  .containsAll(limited.lastOfFirstRound);
            if (round == 0) limited.lastOfFirstRound = limited.waves.get(limited.waves.size() - 1);
          }
        }
        assertThat(limited.numAcquired).isZero();
      }
    }
  }

  @Test
  void batchesGrowAndShrink() {
    try (var p = problem(DType.F32);
        MoeLayer layer = p.layer(p.experts).shared(p.shared).build()) {
      int all = p.numTokens;
      for (int numTokens : new int[] {1, 3, 3, 1, all, 2, all}) {
        p.output.fill(Float.NaN);
        layer.forward(backend, p.hidden.slice(0, numTokens), p.output.slice(0, numTokens));
        p.assertFirstCorrect(1, numTokens);
      }
    }
  }

  @Test
  @Timeout(value = 60, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void othersWaitWhileExpertsAreHeldBetweenTheHalves() throws Exception {
    try (var p = problem(DType.F32);
        MoeLayer layer = p.layer(p.experts).build()) {
      layer.choose(backend, p.hidden);
      assertThat(layer.hold()).isTrue();
      Thread closer = new Thread(layer::close);
      closer.start();
      while (closer.getState() != Thread.State.WAITING) Thread.yield();
      layer.computeHeld(backend, p.hidden, p.output);
      layer.release();
      closer.join();
      p.assertCorrect(0, 1);
      assertThatThrownBy(layer::release)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("this thread holds no experts of this layer");
      assertThatThrownBy(layer::hold)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("MoE layer is closed");
    }
  }

  @Test
  void theSecondHalfIsOfTheTokensOfTheFirst() {
    try (var p = problem(DType.F32);
        MoeLayer layer = p.layer(p.experts).build();
        Tensor halves = backend.allocate(DType.BF16, p.numTokens, 32)) {
      assertThatThrownBy(layer::hold)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("MoE layer has routed no token yet");
      layer.choose(backend, p.hidden);
      assertThat(layer.hold()).isTrue();
      try {
        assertThatThrownBy(
                () -> layer.computeHeld(backend, p.hidden.slice(0, 2), p.output.slice(0, 2)))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("hidden must be [" + p.numTokens + ", 32], found [2, 32]");
        assertThatThrownBy(() -> layer.computeHeld(backend, halves, p.output))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("hidden must be f32, found bf16");
      } finally {
        layer.release();
      }
    }
  }

  @Test
  void givesTheSameBitsWithEveryExpertComputed() {
    Backend backend = BackendsUnderTest.variantsOfIndependentRows().get(0).backend();
    try (var p = problem(backend, DType.F32);
        MoeLayer sparse = p.layer(p.experts).build();
        MoeLayer dense = p.layer(p.experts).everyExpert(true).build()) {
      sparse.forward(backend, p.hidden, p.output);
      float[] expected = p.output.toFloatArray();
      for (int round = 0; round < 2; round++) {
        p.output.fill(Float.NaN);
        dense.forward(backend, p.hidden, p.output);
        assertThat(p.output.toFloatArray()).isEqualTo(expected);
        assertThat(dense.routing().numRows()).isEqualTo(p.numTokens * p.numExperts);
        int[] ids = dense.routing().expertIds().toIntArray();
        for (int t = 0; t < p.numTokens; t++) {
          int begin = t * p.numExperts;
          assertThat(Arrays.copyOfRange(ids, begin, begin + 2))
              .isEqualTo(sparse.routing().expertIds().slice(2 * t, 2 * t + 2).toIntArray());
          assertThat(Arrays.copyOfRange(ids, begin, begin + p.numExperts))
              .containsExactlyInAnyOrder(0, 1, 2, 3, 4, 5, 6, 7);
        }
      }
    }
  }

  /** Experts may be another program's. */
  @Test
  void namesExpertsOfWhichNoneCanBeAcquired() {
    try (var p = problem(DType.F32)) {
      for (int slots : new int[] {0, -1, Integer.MIN_VALUE}) {
        try (MoeLayer layer = p.layer(new LimitedExperts(p.experts, slots)).build()) {
          String expected = "experts' maxPinned must be at least 1, found " + slots;
          assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
              .isInstanceOf(IllegalStateException.class)
              .hasMessage(expected);
        }
      }
    }
  }

  @Test
  void releasesWhatItAcquiredWhenAReadFailsAndGoesOnAfterwards() {
    try (var p = problem(DType.F32)) {
      LimitedExperts limited = new LimitedExperts(p.experts, 3);
      try (MoeLayer layer = p.layer(limited).build()) {
        limited.failAt = 2;
        assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
            .isInstanceOf(ExpertReadException.class);
        assertThat(limited.numAcquired).isZero();
        limited.failAt = Integer.MAX_VALUE;
        layer.forward(backend, p.hidden, p.output);
        p.assertCorrect(0, 1);
      }
    }
  }

  @Test
  void routesWithoutComputing() {
    try (var p = problem(DType.F32);
        MoeLayer layer = p.layer(p.experts).build();
        Routing ahead = new Routing(backend.memory())) {
      assertThatThrownBy(layer::routerLogits)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("routed no token");
      layer.route(backend, p.hidden, ahead);
      layer.forward(backend, p.hidden, p.output);
      assertThat(layer.routerLogits().shape()).containsExactly(p.numTokens, p.numExperts);
      int rows = layer.routing().numRows();
      assertThat(ahead.numRows()).isEqualTo(rows);
      assertThat(ahead.expertIds().slice(0, rows).toIntArray())
          .isEqualTo(layer.routing().expertIds().slice(0, rows).toIntArray());
    }
  }

  @Test
  void takesAnEmptyBatchAndTokensWithoutExperts() {
    try (var p = problem(DType.F32);
        MoeLayer layer =
            MoeLayer.builder(
                    p.router,
                    TopKRouter.threshold(TopKRouter.Score.HARD_THRESHOLD, 1e6f)
                        .whenEmpty(TopKRouter.EmptyPolicy.ZERO)
                        .build(),
                    p.experts)
                .build()) {
      layer.forward(backend, p.hidden.slice(0, 0), p.output.slice(0, 0));
      p.output.fill(Float.NaN);
      layer.forward(backend, p.hidden, p.output);
      assertThat(p.output.toFloatArray()).containsOnly(0);
    }
  }

  @Test
  void namesWhatIsWrong() {
    try (var p = problem(DType.F32);
        MoeLayer layer = p.layer(p.experts).build();
        Tensor wide = backend.f32(2, 65);
        Tensor narrow = backend.f32(5, 3);
        Tensor half = backend.allocate(DType.F16, 2, 32);
        Linear small = new Linear(narrow, null)) {
      assertThatThrownBy(() -> layer.forward(backend, wide, p.output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("hidden must be [any, 32], found [2, 65]");
      assertThatThrownBy(() -> layer.forward(backend, half, p.output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("hidden must be f32 or bf16, found f16");
      assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.hidden))
          .hasMessage("output must not overlap hidden");
      assertThatThrownBy(() -> MoeLayer.builder(small, TopKRouter.softmax(1).build(), p.experts))
          .hasMessage("router input size must be 32, found 3");
      assertThatThrownBy(() -> MoeLayer.builder(p.router, TopKRouter.softmax(9).build(), p.experts))
          .hasMessage("topK must be at most the number of eligible experts, 8, found 9");
      assertThatThrownBy(() -> p.layer(p.experts).sharedGate(p.sharedGate).build())
          .hasMessage("sharedGate must not be set without shared");
      p.hidden.setFloat(32, Float.NaN);
      assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
          .isInstanceOf(InvalidLogitsException.class)
          .hasMessageStartingWith("logits of token 1:");
    }
  }

  @Test
  void refusesClosedParts() {
    try (var p = problem(DType.F32)) {
      MoeLayer layer = p.layer(p.experts).build();
      p.experts.close();
      assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("expert matrices are closed");
      layer.close();
      layer.close();
      assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("MoE layer is closed");
    }
    Tensor gate = backend.f32(2, 3, 4);
    try (Tensor up = backend.f32(2, 3, 4);
        Tensor down = backend.f32(2, 4, 3);
        Tensor weight = backend.f32(2, 4);
        Tensor hidden = backend.f32(1, 4);
        Tensor output = backend.f32(1, 4);
        Linear router = new Linear(weight, null);
        ResidentExperts experts = ResidentExperts.stacked(gate, up, down);
        MoeLayer layer = MoeLayer.builder(router, TopKRouter.softmax(2).build(), experts).build()) {
      layer.forward(backend, hidden, output);
      gate.close();
      assertThatThrownBy(() -> layer.forward(backend, hidden, output))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("a weight of expert 0 is closed");
      up.fill(1); // nothing is held: a write and a close go on
    }
  }

  private MoeLayerProblem problem(DType hiddenType) {
    return problem(backend, hiddenType);
  }

  private static MoeLayerProblem problem(Backend backend, DType hiddenType) {
    return new MoeLayerProblem(
        backend,
        new Random(5),
        BackendsUnderTest.sized(12, 30),
        8,
        2,
        32,
        24,
        hiddenType == DType.F32 ? DType.F32 : DType.BF16,
        hiddenType);
  }
}
