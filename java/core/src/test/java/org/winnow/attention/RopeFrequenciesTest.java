package org.winnow.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;
import org.winnow.Tensor;
import org.winnow.attention.RopeFrequencies.Yarn;

class RopeFrequenciesTest {
  @Test
  void standardFallsGeometrically() {
    var rope = RopeFrequencies.standard(8, 10_000);
    double[] expected = {1, 0.1, 0.01, 0.001};
    assertThat(rope.numPairs()).isEqualTo(4);
    for (int i = 0; i < 4; i++) assertThat(rope.frequency(i)).isCloseTo(expected[i], within(1e-15));
    assertThat(RopeFrequencies.linear(8, 10_000, 4).frequency(1)).isCloseTo(0.025, within(1e-15));
  }

  /**
   * Llama 3.1's numbers: 8, 1, 4, 8192, theta 500000, width 128. Wavelengths beyond 8192 are
   * stretched, below 2048 kept.
   */
  @Test
  void llama3KeepsShortWavelengthsAndStretchesLongOnes() {
    var base = RopeFrequencies.standard(128, 500_000);
    var rope = RopeFrequencies.llama3(128, 500_000, 8, 1, 4, 8192);
    int kept = 0;
    int stretched = 0;
    for (int i = 0; i < 64; i++) {
      double wavelength = 2 * Math.PI / base.frequency(i);
      if (wavelength < 2048) {
        assertThat(rope.frequency(i)).isEqualTo(base.frequency(i));
        kept++;
      } else if (wavelength > 8192) {
        assertThat(rope.frequency(i)).isEqualTo(base.frequency(i) / 8);
        stretched++;
      } else {
        double s = (8192 / wavelength - 1) / 3;
        assertThat(rope.frequency(i))
            .isCloseTo((1 - s) * base.frequency(i) / 8 + s * base.frequency(i), within(1e-18));
      }
    }
    assertThat(kept).isEqualTo(29);
    assertThat(stretched).isEqualTo(29);
  }

  /**
   * gpt-oss: theta 150000, width 64, factor 32, context 4096, bounds not rounded: 8.09 and 17.40.
   */
  @Test
  void yarnRampsBetweenItsBounds() {
    var base = RopeFrequencies.standard(64, 150_000);
    var exactBounds =
        RopeFrequencies.yarn(64, 150_000, new Yarn(32, 4096, 32, 1, false, null, null, null));
    var rounded =
        RopeFrequencies.yarn(64, 150_000, new Yarn(32, 4096, 32, 1, true, null, null, null));
    double low = 64 * Math.log(4096 / (2 * Math.PI * 32)) / (2 * Math.log(150_000));
    double high = 64 * Math.log(4096 / (2 * Math.PI)) / (2 * Math.log(150_000));
    assertThat(low).isCloseTo(8.09, within(0.01));
    assertThat(high).isCloseTo(17.40, within(0.01));
    for (int i = 0; i < 32; i++) {
      double keep = i <= low ? 1 : i >= high ? 0 : 1 - (i - low) / (high - low);
      assertThat(exactBounds.frequency(i) / base.frequency(i))
          .isCloseTo(keep + (1 - keep) / 32, within(1e-12));
      double keepRounded = i <= 8 ? 1 : i >= 18 ? 0 : 1 - (i - 8) / 10.0;
      assertThat(rounded.frequency(i) / base.frequency(i))
          .isCloseTo(keepRounded + (1 - keepRounded) / 32, within(1e-12));
    }
    assertThat(exactBounds.attentionFactor()).isCloseTo(0.1 * Math.log(32) + 1, within(1e-15));
  }

  @Test
  void attentionFactorFollowsTheRules() {
    assertThat(new Yarn(40, 4096, 32, 1, true, 0.7, 1.0, 1.0).resolvedAttentionFactor())
        .isEqualTo(0.7);
    assertThat(new Yarn(40, 4096, 32, 1, true, null, 1.0, 1.0).resolvedAttentionFactor())
        .isEqualTo(1);
    double ratio = (0.0707 * Math.log(40) + 1) / (0.1 * Math.log(40) + 1);
    assertThat(new Yarn(40, 4096, 32, 1, true, null, 0.707, 1.0).resolvedAttentionFactor())
        .isCloseTo(ratio, within(1e-15));
    assertThat(new Yarn(40, 4096, 32, 1, true, null, 0.707, 0.0).resolvedAttentionFactor())
        .isCloseTo(0.1 * Math.log(40) + 1, within(1e-15));
    assertThat(new Yarn(1, 4096, 32, 1, true, null, null, null).resolvedAttentionFactor())
        .isEqualTo(1);
  }

  @Test
  void anglesAreRoundedOnceEvenFarOut() {
    var rope =
        RopeFrequencies.yarn(64, 150_000, new Yarn(32, 4096, 32, 1, false, null, null, null));
    try (Tensor cos = Tensor.f32(3, 32);
        Tensor sin = Tensor.f32(3, 32)) {
      rope.angles(131_000, cos, sin);
      for (int t = 0; t < 3; t++) {
        for (int i = 0; i < 32; i++) {
          double angle = (131_000 + t) * rope.frequency(i);
          assertThat(cos.getFloat(t * 32 + i))
              .isEqualTo((float) (StrictMath.cos(angle) * rope.attentionFactor()));
          assertThat(Math.hypot(cos.getFloat(t * 32 + i), sin.getFloat(t * 32 + i)))
              .isCloseTo(rope.attentionFactor(), within(2e-7));
          assertThat(Math.atan2(sin.getFloat(t * 32 + i), cos.getFloat(t * 32 + i)))
              .isCloseTo(Math.IEEEremainder(angle, 2 * Math.PI), within(2e-7));
        }
      }
      assertThatThrownBy(() -> rope.angles(-1, cos, sin))
          .hasMessage("firstPosition must not be negative, found -1");
      assertThatThrownBy(() -> RopeFrequencies.standard(16, 10_000).angles(0, cos, sin))
          .hasMessage("cos must be [any, 8], found [3, 32]");
    }
    assertThatThrownBy(() -> RopeFrequencies.standard(7, 10_000))
        .hasMessage("rotaryWidth must be even and positive, found 7");
    assertThatThrownBy(() -> RopeFrequencies.linear(8, 10_000, 0))
        .hasMessage("factor must be positive, found 0.0");
  }
}
