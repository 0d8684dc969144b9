package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class GenerationResultTest {
  private static GenerationResult of(FinishReason reason, int... ids) {
    return new GenerationResult(ids, "", reason, 8, 1000, 0, null);
  }

  @Test
  void aPromptThatWasNotReadToItsEndHasNoSpeed() {
    GenerationResult inPrompt = of(FinishReason.CANCELLED);
    assertThat(inPrompt.cancelledInPrompt()).isTrue();
    assertThat(inPrompt.prefillTokensPerSecond()).isZero();
    for (GenerationResult later :
        new GenerationResult[] {of(FinishReason.CANCELLED, 1), of(FinishReason.STOP)}) {
      assertThat(later.cancelledInPrompt()).isFalse();
      assertThat(later.prefillTokensPerSecond()).isEqualTo(8e6);
    }
  }
}
