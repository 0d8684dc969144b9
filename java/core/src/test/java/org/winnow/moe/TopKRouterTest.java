package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;

class TopKRouterTest {
  private final Backend backend = new CpuBackend();
  private final Routing routing = new Routing();

  @AfterEach
  void close() {
    routing.close();
    backend.close();
  }

  @Test
  void softmaxOfTheChosenLogitsAndTiesToTheSmallerIndex() {
    try (Tensor logits = Tensor.of(new float[] {0, 2, -1, 2, -0f, 0}, 1, 6)) {
      TopKRouter.softmax(4).build().run(backend, logits, routing);
      assertThat(routing.expertIds().slice(0, 4).toIntArray()).containsExactly(1, 3, 0, 4);
      double sum = 2 + 2 * Math.exp(-2);
      assertThat(routing.routingWeights().getFloat(0)).isEqualTo((float) (1 / sum));
      assertThat(routing.routingWeights().getFloat(3)).isEqualTo((float) (Math.exp(-2) / sum));
    }
  }

  @Test
  void namesTheTokenWhoseLogitsAreNaN() {
    try (Tensor logits = Tensor.f32(3, 4)) {
      logits.setFloat(6, Float.NaN);
      assertThatThrownBy(() -> TopKRouter.softmax(2).build().run(backend, logits, routing))
          .isInstanceOf(InvalidLogitsException.class).hasMessage("logits of token 1: expected no NaN and a finite maximum, found otherwise");
      assertThat(routing.numRows()).isZero();
    }
  }
}
