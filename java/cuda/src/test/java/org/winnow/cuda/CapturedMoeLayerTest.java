package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.winnow.CapturedStep;
import org.winnow.DType;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.MoeLayerProblem;
import org.winnow.op.Sampler;
import org.winnow.op.TopKRouter;

/** A MoE layer as a captured step: the same bits, and what cannot be captured. */
class CapturedMoeLayerTest {
  private final CudaBackend backend = new CudaBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  private MoeLayerProblem problem(int numTokens) {
    return new MoeLayerProblem(
        backend, new Random(1), numTokens, 16, 4, 64, 48, DType.BF16, DType.BF16);
  }

  @Test
  void aCapturedLayerTakesTheSameLaunchesAndGivesTheSameBits() {
    try (MoeLayerProblem p = problem(1);
        MoeLayer layer = p.layer(p.experts).shared(p.shared).sharedGate(p.sharedGate).build()) {
      layer.forward(backend, p.hidden, p.output);
      float[] expected = p.output.toFloatArray();
      try (CapturedStep step = backend.capture(() -> layer.forward(backend, p.hidden, p.output))) {
        for (int run = 0; run < 2; run++) {
          p.output.fill(Float.NaN);
          if (GpuSim.isLoaded()) GpuReport.take();
          step.run();
          assertThat(p.output.toFloatArray()).isEqualTo(expected);
          if (GpuSim.isLoaded()) assertThat(GpuReport.take().launches()).hasSize(5);
        }
      }
    }
  }

  @Test
  void aTokenThatACapturedStepRefusesIsReportedAtTheNextWait() {
    try (MoeLayerProblem p = problem(2);
        MoeLayer layer = p.layer(p.experts).build();
        Tensor logits = backend.of(new float[] {1, 3, 2}, 3)) {
      float[] good = p.hidden.toFloatArray();
      float[] wrong = good.clone();
      wrong[p.hiddenSize] = Float.NaN; // of token 1
      layer.forward(backend, p.hidden, p.output);
      try (CapturedStep step = backend.capture(() -> layer.forward(backend, p.hidden, p.output))) {
        step.run();
        assertThat(Sampler.greedy().sample(backend, logits)).isEqualTo(1);
        p.hidden.copyFrom(wrong);
        step.run();
        assertThatThrownBy(() -> Sampler.greedy().sample(backend, logits))
            .isInstanceOf(InvalidLogitsException.class)
            .satisfies(e -> assertThat(((InvalidLogitsException) e).token()).isEqualTo(1));
        p.hidden.copyFrom(good);
        step.run();
        assertThat(Sampler.greedy().sample(backend, logits)).isEqualTo(1);
      }
    }
  }

  @Test
  void aRuleThatVariesTheNumberOfExpertsIsRefusedInACapture() {
    try (MoeLayerProblem p = problem(1);
        MoeLayer layer =
            MoeLayer.builder(p.router, TopKRouter.softmax(4).topP(0.5f).build(), p.experts)
                .build()) {
      layer.forward(backend, p.hidden, p.output);
      assertThatThrownBy(() -> backend.capture(() -> layer.forward(backend, p.hidden, p.output)))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageStartingWith(
              "routing by a rule that varies the number of experts per token is not possible");
    }
  }
}
