package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.Tensor;

/** Models with a cache of 16 bits, of keys and values and of latents. */
class CacheTypeTest {
  private static final int[] PROMPT = new int[130];

  @BeforeAll
  static void fillPrompt() {
    for (int i = 1; i < PROMPT.length; i++) PROMPT[i] = i * 7919 % 100;
  }

  private static float[] logits(LanguageModel model) {
    int vocabulary = model.config().vocabularySize();
    float[] all = new float[PROMPT.length * vocabulary];
    model.forward(
        PROMPT,
        0,
        new ForwardListener() {
          @Override
          public void onLogits(int firstPosition, Tensor logits) {
            float[] part = logits.toFloatArray();
            System.arraycopy(part, 0, all, firstPosition * vocabulary, part.length);
          }
        });
    return all;
  }

  @Test
  void theCacheHasTheTypeOfTheActivations() {
    LoadOptions options = LoadOptions.defaults().withThreads(1);
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), options)) {
      assertThat(model.activations()).isEqualTo(DType.BF16);
      assertThat(model.cacheType()).isEqualTo(DType.BF16);
    }
    try (LanguageModel model = LanguageModel.open(Goldens.folder("deepseek_v3"), options)) {
      assertThat(model.activations()).isEqualTo(DType.F32); // all its matrices are stored in f32
      assertThat(model.cacheType()).isEqualTo(DType.F32);
    }
  }

  /**
   * The logits of most positions change by about what rounding keys and values changes: the bound
   * is the largest relative rounding, times 4 for all layers. At some positions a router may choose
   * another expert.
   */
  @ParameterizedTest
  @CsvSource({"kjv-moe, BF16", "kjv-moe, F16", "deepseek_v3, BF16", "deepseek_v3, F16"})
  void roundsKeysAndValuesOnly(String name, DType type) {
    Path folder = name.equals("kjv-moe") ? Goldens.kjvMoe() : Goldens.folder(name);
    LoadOptions options = LoadOptions.defaults().withThreads(1).withActivations(DType.F32);
    float[] exact;
    long exactBytes;
    try (LanguageModel model = LanguageModel.open(folder, options)) {
      assertThat(model.cacheType()).isEqualTo(DType.F32);
      exact = logits(model);
      exactBytes = model.cacheBytesPerToken();
    }
    float[] found;
    try (LanguageModel model = LanguageModel.open(folder, options.withCacheType(type))) {
      assertThat(model.cacheType()).isEqualTo(type);
      assertThat(2 * model.cacheBytesPerToken()).isEqualTo(exactBytes);
      found = logits(model);
    }
    double[] relative = new double[PROMPT.length];
    int vocabulary = exact.length / PROMPT.length;
    for (int position = 0; position < PROMPT.length; position++) {
      double squares = 0;
      double errors = 0;
      for (int i = position * vocabulary; i < (position + 1) * vocabulary; i++) {
        squares += (double) exact[i] * exact[i];
        errors += Math.pow((double) found[i] - exact[i], 2);
      }
      relative[position] = Math.sqrt(errors / squares);
    }
    Arrays.sort(relative);
    assertThat(relative[PROMPT.length - 1]).isPositive();
    assertThat(relative[PROMPT.length / 2]).isLessThan(4 * (type == DType.BF16 ? 0x1p-9 : 0x1p-12));
    try (LanguageModel model =
        LanguageModel.open(folder, options.withCacheType(type).withThreads(3))) {
      assertThat(logits(model)).isEqualTo(found);
    }
  }

  @Test
  void otherTypesAreRefused() {
    assertThatThrownBy(() -> LoadOptions.defaults().withCacheType(DType.I8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("cacheType must be f32, bf16 or f16, found i8");
  }
}
