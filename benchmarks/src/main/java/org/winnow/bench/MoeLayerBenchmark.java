package org.winnow.bench;

import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.MoeLayerProblem;
import org.winnow.op.TopKRouter;

/**
 * A whole MoE layer, router to combine, bf16, all experts in memory, against the same kernels
 * computing every expert for every token. Tokens are random, so that 32 of them reach nearly all
 * experts.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 2, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class MoeLayerBenchmark extends BackendBenchmark {
  @Param({"OLMOE", "QWEN3_30B_A3B"})
  MoeShape model;

  @Param({"1", "32"})
  int numTokens;

  private MoeLayerProblem problem;
  private MoeLayer sparse;
  private MoeLayer dense;

  @Setup
  public void setup() {
    openBackend();
    problem =
        new MoeLayerProblem(
            backend,
            new Random(42),
            numTokens,
            model.numExperts,
            model.topK,
            model.hiddenSize,
            model.intermediateSize,
            DType.BF16,
            DType.BF16);
    sparse = problem.layer(problem.experts).build();
    dense =
        MoeLayer.builder(
                problem.router, TopKRouter.softmax(model.numExperts).build(), problem.experts)
            .build();
    sparse();
    problem.assertCorrect(0, numTokens);
  }

  @TearDown
  public void tearDown() {
    dense.close();
    sparse.close();
    problem.close();
    backend.close();
  }

  @Benchmark
  public Tensor sparse() {
    sparse.forward(backend, problem.hidden, problem.output);
    return arrived(problem.output);
  }

  @Benchmark
  public Tensor baselineDense() {
    dense.forward(backend, problem.hidden, problem.output);
    return arrived(problem.output);
  }
}
