package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.op.Embedding;
import org.winnow.op.ExpertPlan;
import org.winnow.op.MoeCombine;
import org.winnow.op.Routing;
import org.winnow.op.Sampler;
import org.winnow.op.SamplerOptions;
import org.winnow.op.TopKRouter;
import org.winnow.op.TopKRouter.GroupScore;
import org.winnow.op.TopKRouter.Score;

/** Which experts a token goes to and which token comes next do not depend on the backend. */
class SameBitsAsOnCpuTest {
  private final Backend cpu = new CpuBackend();
  private final Backend cuda = new CudaBackend();

  @AfterEach
  void close() {
    cuda.close();
    cpu.close();
  }

  private static Map<String, TopKRouter> rules(Tensor bias) {
    Map<String, TopKRouter.Builder> rules = new LinkedHashMap<>();
    rules.put("softmax", TopKRouter.softmax(6));
    rules.put("softmax, raw", TopKRouter.softmax(3).renormalise(false));
    rules.put(
        "softmax, groups",
        TopKRouter.softmax(3).groups(8, 3, GroupScore.MAX).renormalise(false).scalingFactor(16));
    rules.put("softmax, top-p", TopKRouter.softmax(24).topP(0.6f).minExperts(2));
    rules.put("softmax, min-p", TopKRouter.softmax(24).minP(0.2f));
    rules.put(
        "sigmoid, DeepSeek-V3",
        TopKRouter.sigmoid(4)
            .correctionBias(bias)
            .groups(4, 2, GroupScore.SUM_OF_TOP_TWO)
            .scalingFactor(2.5f));
    rules.put("sigmoid, skip", TopKRouter.sigmoid(4).correctionBias(bias).skipBelow(0.9f));
    rules.put("sparsemax", TopKRouter.sparsemax());
    rules.put("hard threshold", TopKRouter.threshold(Score.HARD_THRESHOLD, 1.5f));
    rules.put("shifted threshold", TopKRouter.threshold(Score.SHIFTED_THRESHOLD, 0.4f));
    Map<String, TopKRouter> built = new LinkedHashMap<>();
    rules.forEach((name, rule) -> built.put(name, rule.build()));
    return built;
  }

  /** Few tokens are routed and planned in one launch, many in several. */
  @ParameterizedTest
  @ValueSource(ints = {1, 20, 150})
  void routingAndPlan(int numTokens) {
    int numExperts = 24;
    Random random = new Random(numTokens);
    float[] logits = new float[numTokens * numExperts];
    for (int i = 0; i < logits.length; i++)
      logits[i] = Math.round(random.nextGaussian() * 16) / 8f; // some tie
    float[] bias = new float[numExperts];
    for (int i = 0; i < numExperts; i++) bias[i] = (float) (0.3 * random.nextGaussian());
    try (Tensor cpuBias = cpu.of(bias, numExperts);
        Tensor cudaBias = cuda.of(bias, numExperts)) {
      Map<String, TopKRouter> expected = rules(cpuBias);
      rules(cudaBias)
          .forEach(
              (name, rule) ->
                  assertThat(routed(cuda, rule, logits, numExperts))
                      .as(name)
                      .isEqualTo(routed(cpu, expected.get(name), logits, numExperts)));
    }
  }

  private static String routed(Backend backend, TopKRouter rule, float[] values, int numExperts) {
    int numTokens = values.length / numExperts;
    try (Tensor logits = backend.of(values, numTokens, numExperts);
        Routing routing = new Routing(backend.memory());
        ExpertPlan plan = new ExpertPlan(backend.memory())) {
      rule.run(backend, logits, routing, plan);
      int rows = routing.numRows();
      return Arrays.toString(routing.tokenOffsets().slice(0, numTokens + 1).toIntArray())
          + Arrays.toString(routing.expertIds().slice(0, rows).toIntArray())
          + Arrays.toString(routing.routingWeights().slice(0, rows).toFloatArray())
          + Arrays.toString(plan.expertOffsets().toIntArray())
          + Arrays.toString(plan.sourceRows().slice(0, rows).toIntArray())
          + Arrays.toString(plan.assignmentRows().slice(0, rows).toIntArray())
          + Arrays.toString(plan.activeExperts().toIntArray())
          + plan.numActiveExperts();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void combination(DType outputType) {
    int numTokens = 7;
    int hiddenSize = 132;
    Random random = new Random(5);
    int[] offsets = new int[numTokens + 1];
    for (int t = 0; t < numTokens; t++) offsets[t + 1] = offsets[t] + t % 4;
    int numRows = offsets[numTokens];
    int[] ids = random.ints(numRows, 0, 5).toArray();
    float[] weights = gaussian(random, numRows);
    float[] rows = gaussian(random, numRows * hiddenSize);
    float[] shared = gaussian(random, numTokens * hiddenSize);
    float[] gates = gaussian(random, numTokens);
    float[][] results = new float[2][];
    for (int i = 0; i < 2; i++) {
      Backend backend = i == 0 ? cpu : cuda;
      try (Routing routing = new Routing(backend.memory());
          ExpertPlan plan = new ExpertPlan(backend.memory());
          Tensor output = backend.allocate(outputType, numTokens, hiddenSize).fill(Float.NaN)) {
        routing.set(offsets, ids, weights);
        plan.build(backend, routing, 5);
        MoeCombine.run(
            backend,
            backend.of(rows, numRows, hiddenSize),
            routing,
            plan,
            backend.of(shared, numTokens, hiddenSize),
            backend.of(gates, numTokens, 1),
            output);
        results[i] = output.toFloatArray();
      }
    }
    assertThat(results[1]).isEqualTo(results[0]);
  }

  private static float[] gaussian(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = (float) random.nextGaussian();
    return values;
  }

  @Test
  void sampling() {
    Random random = new Random(9);
    int vocabularySize = 5000; // more than one block surveys
    for (int round = 0; round < 12; round++) {
      float[] values = new float[vocabularySize];
      for (int i = 0; i < vocabularySize; i++)
        values[i] = Math.round(random.nextGaussian() * 8) / 4f;
      SamplerOptions options =
          new SamplerOptions(
              round % 4 == 0 ? 0 : 0.5 + random.nextDouble(),
              new int[] {0, 1, 40}[round % 3],
              round % 2 == 0 ? 1 : 0.7,
              new double[] {0, 0.02, 0, 0, 0.3}[round % 5],
              round % 3 == 1 ? 1 : 1.37);
      int[] seen = random.ints(300, 0, vocabularySize).toArray();
      try (Tensor onCpu = cpu.of(values, vocabularySize);
          Tensor onCuda = cuda.of(values, vocabularySize);
          Tensor seenOnCpu = cpu.of(seen, seen.length);
          Tensor seenOnCuda = cuda.of(seen, seen.length)) {
        assertThat(new Sampler(options, round).sample(cuda, onCuda, seenOnCuda))
            .isEqualTo(new Sampler(options, round).sample(cpu, onCpu, seenOnCpu));
      }
    }
  }

  /** Normal and subnormal values of both signs. */
  @Test
  void embeddingWidensExactly() {
    for (DType type : new DType[] {DType.F16, DType.BF16}) {
      float[] values = new float[64 * 40];
      for (int i = 0; i < values.length; i++)
        values[i] = (float) ((i % 2 == 0 ? 1 : -1) * Math.scalb(1 + i / 4096.0, i % 40 - 24));
      float[][] results = new float[2][];
      for (int i = 0; i < 2; i++) {
        Backend backend = i == 0 ? cpu : cuda;
        try (Tensor table = backend.allocate(type, 64, 40).copyFrom(values);
            Tensor output = backend.f32(64, 40).fill(Float.NaN)) {
          Embedding.run(
              backend, table, backend.of(new Random(3).ints(64, 0, 64).toArray(), 64), output);
          results[i] = output.toFloatArray();
        }
      }
      assertThat(results[1]).isEqualTo(results[0]);
    }
  }
}
