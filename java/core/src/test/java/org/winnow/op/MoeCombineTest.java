package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;

@ContractTest
public class MoeCombineTest {
  private static final int NUM_EXPERTS = 6;

  private final Backend backend = BackendsUnderTest.shared();
  private final Routing routing = new Routing(backend.memory());
  private final ExpertPlan plan = new ExpertPlan(backend.memory());

  @AfterEach
  void close() {
    plan.close();
    routing.close();
  }

  @ParameterizedTest
  @CsvSource({"1, 1, F32", "5, 15, F32", "5, 16, BF16", "40, 17, F32", "9, 2048, BF16"})
  void agreesWithDoublePrecision(int numTokens, int hiddenSize, DType outputType) {
    Random random = new Random(3);
    int[] offsets = route(random, numTokens);
    int numRows = offsets[numTokens];
    float[] x = values(random, numRows * hiddenSize);
    float[] s = values(random, numTokens * hiddenSize);
    float[] g = values(random, numTokens);
    float[] weights = routing.routingWeights().toFloatArray();
    int[] rows = plan.assignmentRows().toIntArray();
    try (Tensor experts = backend.of(x, numRows, hiddenSize);
        Tensor shared = backend.of(s, numTokens, hiddenSize);
        Tensor gates = backend.of(g, numTokens, 1);
        Tensor output = backend.allocate(outputType, numTokens, hiddenSize)) {
      for (int form = 0;
          form < 3;
          form++) { // without shared experts, with them, with them and their gate
        output.fill(Float.NaN);
        MoeCombine.run(
            backend,
            experts,
            routing,
            plan,
            form > 0 ? shared : null,
            form > 1 ? gates : null,
            output);
        float[] found = output.toFloatArray();
        for (int t = 0; t < numTokens; t++) {
          for (int i = 0; i < hiddenSize; i++) {
            double exact =
                form == 0 ? 0 : s[t * hiddenSize + i] * (form == 1 ? 1 : 1 / (1 + Math.exp(-g[t])));
            double magnitude = Math.abs(exact);
            for (int p = offsets[t + 1] - 1; p >= offsets[t]; p--) {
              double term = (double) weights[p] * x[rows[p] * hiddenSize + i];
              exact += term;
              magnitude += Math.abs(term);
            }
            // one rounding per product and sum, one of the gate; then half an ulp of the output
            double bound = (2 * (offsets[t + 1] - offsets[t]) + 3) * 0x1p-24 * magnitude;
            if (outputType == DType.BF16)
              bound += 0x1p-8 * (Math.abs(exact) + bound); // bf16 has 8 significant bits
            assertThat(Math.abs(found[t * hiddenSize + i] - exact))
                .as("form %d, token %d, column %d", form, t, i)
                .isLessThanOrEqualTo(bound);
          }
        }
      }
    }
  }

  @Test
  void givesTheSameBitsInEveryVariant() {
    Random random = new Random(4);
    int hiddenSize = 300;
    int numTokens = BackendsUnderTest.sized(20, 200);
    int numRows = route(random, numTokens)[numTokens];
    try (Tensor experts = backend.of(values(random, numRows * hiddenSize), numRows, hiddenSize);
        Tensor output = backend.f32(numTokens, hiddenSize)) {
      MoeCombine.run(backend, experts, routing, plan, null, null, output);
      float[] expected = output.toFloatArray();
      for (Variant variant : BackendsUnderTest.variants()) {
        output.fill(Float.NaN);
        MoeCombine.run(variant.backend(), experts, routing, plan, null, null, output);
        assertThat(output.toFloatArray()).isEqualTo(expected);
        for (var opener : variant.sameBits()) {
          try (Backend other = opener.get()) {
            output.fill(Float.NaN);
            MoeCombine.run(other, experts, routing, plan, null, null, output);
            assertThat(output.toFloatArray()).isEqualTo(expected);
          }
        }
      }
    }
  }

  /** Which NaN depends on the backend. */
  @ParameterizedTest
  @CsvSource({"F32", "BF16"})
  void aNanAmongTheTermsOfAnElementIsANan(DType outputType) {
    routing.set(new int[] {0, 2}, new int[] {2, 3}, new float[] {0.5f, 2});
    plan.build(backend, routing, NUM_EXPERTS);
    for (int nan : new int[] {0x7fc00000, 0x7f800001, 0xffc12345}) {
      float[] rows = {1, Float.intBitsToFloat(nan), 3, 4, 5, 6};
      try (Tensor experts = backend.of(rows, 2, 3);
          Tensor output = backend.allocate(outputType, 1, 3)) {
        MoeCombine.run(backend, experts, routing, plan, null, null, output);
        assertThat(output.toFloatArray()).containsExactly(8.5f, Float.NaN, 13.5f);
      }
    }
  }

  @Test
  void aTokenWithoutExpertsGetsZero() {
    routing.set(new int[] {0, 0, 1}, new int[] {2}, new float[] {3});
    plan.build(backend, routing, NUM_EXPERTS);
    try (Tensor experts = backend.of(new float[] {5}, 1, 1);
        Tensor output = backend.f32(2, 1).fill(Float.NaN)) {
      MoeCombine.run(backend, experts, routing, plan, null, null, output);
      assertThat(output.toFloatArray()).containsExactly(0, 15);
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    int numRows = route(new Random(5), 2)[2];
    try (Tensor experts = backend.f32(numRows, 4);
        Tensor few = backend.f32(0, 4);
        Tensor output = backend.f32(2, 4);
        Tensor three = backend.f32(3, 4);
        Tensor half = backend.allocate(DType.F16, 2, 4);
        Tensor gates = backend.f32(2, 1);
        Routing other = new Routing(backend.memory())) {
      assertThatThrownBy(() -> MoeCombine.run(backend, experts, routing, plan, null, null, three))
          .hasMessage("output must be [2, any], found [3, 4]");
      assertThatThrownBy(() -> MoeCombine.run(backend, experts, routing, plan, null, null, half))
          .hasMessage("output must be f32 or bf16, found f16");
      assertThatThrownBy(() -> MoeCombine.run(backend, few, routing, plan, null, null, output))
          .hasMessage("expertOutput must have at least " + numRows + " rows, found 0");
      assertThatThrownBy(() -> MoeCombine.run(backend, experts, routing, plan, three, null, output))
          .hasMessage("shared must be [2, 4], found [3, 4]");
      assertThatThrownBy(
              () -> MoeCombine.run(backend, experts, routing, plan, output, null, output))
          .hasMessage("output must not overlap shared");
      assertThatThrownBy(() -> MoeCombine.run(backend, experts, routing, plan, null, gates, output))
          .hasMessage("sharedGateLogits must be null without shared, found f32[2, 1]");
      assertThatThrownBy(() -> MoeCombine.run(backend, experts, other, plan, null, null, output))
          .hasMessageStartingWith("plan must be built from the routing");
      plan.close();
      assertThatThrownBy(() -> MoeCombine.run(backend, experts, routing, plan, null, null, output))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("expert plan is closed");
    }
  }

  /** Zero to four experts per token. Returns the token offsets. */
  private int[] route(Random random, int numTokens) {
    int[] offsets = new int[numTokens + 1];
    for (int t = 0; t < numTokens; t++)
      offsets[t + 1] = offsets[t] + (t == 0 ? 4 : random.nextInt(5));
    int[] ids = random.ints(offsets[numTokens], 0, NUM_EXPERTS).toArray();
    routing.set(offsets, ids, values(random, ids.length));
    plan.build(backend, routing, NUM_EXPERTS);
    return offsets;
  }

  private static float[] values(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }
}
