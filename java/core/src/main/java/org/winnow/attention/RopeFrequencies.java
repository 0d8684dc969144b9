package org.winnow.attention;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.lang.ref.Reference;
import java.nio.FloatBuffer;
import java.util.Objects;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;

/**
 * Angular frequencies of rotary position embedding, and the angles of given positions. Pair i of
 * position p is turned by {@code p * frequency(i)}; cosines and sines are multiplied by {@link
 * #attentionFactor()}. Everything is computed in double precision and rounded once.
 *
 * <p>With D the width of the rotary part, the base form is {@code inv_i = theta^(-2i / D)}, i in
 * [0, D / 2) (Su et al. 2021, arXiv:2104.09864, section 3.2.2). Immutable.
 */
public final class RopeFrequencies {
  private final double[] frequencies;
  private final double attentionFactor;

  private RopeFrequencies(double[] frequencies, double attentionFactor) {
    this.frequencies = frequencies;
    this.attentionFactor = attentionFactor;
  }

  /** {@code inv_i}. */
  public static RopeFrequencies standard(int rotaryWidth, double theta) {
    return new RopeFrequencies(base(rotaryWidth, theta), 1);
  }

  /**
   * {@code inv_i / factor}: positions are interpolated linearly (Chen et al. 2023,
   * arXiv:2306.15595).
   */
  public static RopeFrequencies linear(int rotaryWidth, double theta, double factor) {
    requirePositive("factor", factor);
    double[] inv = base(rotaryWidth, theta);
    for (int i = 0; i < inv.length; i++) inv[i] /= factor;
    return new RopeFrequencies(inv, 1);
  }

  /**
   * Llama 3's rule: wavelengths beyond {@code originalContext / lowFactor} are divided by the
   * factor, those below {@code originalContext / highFactor} are kept, those between are mixed.
   */
  public static RopeFrequencies llama3(
      int rotaryWidth,
      double theta,
      double factor,
      double lowFactor,
      double highFactor,
      double originalContext) {
    requirePositive("factor", factor);
    requirePositive("lowFactor", lowFactor);
    requirePositive("originalContext", originalContext);
    if (!(highFactor > lowFactor))
      throw new IllegalArgumentException(
          "highFactor must be above " + lowFactor + ", found " + highFactor);
    double[] inv = base(rotaryWidth, theta);
    for (int i = 0; i < inv.length; i++) {
      double wavelength = 2 * Math.PI / inv[i];
      double kept = (originalContext / wavelength - lowFactor) / (highFactor - lowFactor);
      kept = Math.min(Math.max(kept, 0), 1); // 0 beyond the long wavelength, 1 below the short one
      inv[i] = (1 - kept) * inv[i] / factor + kept * inv[i];
    }
    return new RopeFrequencies(inv, 1);
  }

  /**
   * Parameters of YaRN.
   *
   * @param factor by how much the context is extended
   * @param originalContext the context before the extension
   * @param betaFast rotations over the original context from which a pair is kept as it is, usually
   *     32
   * @param betaSlow rotations up to which a pair is interpolated fully, usually 1
   * @param truncate whether the bounds of the ramp are rounded to whole pairs; gpt-oss does not
   * @param attentionFactor the factor of cosines and sines, or null to derive it
   * @param mscale DeepSeek's {@code mscale}, or null
   * @param mscaleAllDim DeepSeek's {@code mscale_all_dim}, or null
   */
  public record Yarn(
      double factor,
      double originalContext,
      double betaFast,
      double betaSlow,
      boolean truncate,
      Double attentionFactor,
      Double mscale,
      Double mscaleAllDim) {
    /**
     * The factor of cosines and sines: as given, else {@code g(mscale) / g(mscaleAllDim)} if both
     * are there and not 0, else {@code g(1)}.
     */
    double resolvedAttentionFactor() {
      if (attentionFactor != null) return attentionFactor;
      if (mscale != null && mscale != 0 && mscaleAllDim != null && mscaleAllDim != 0) {
        return magnitude(mscale, factor) / magnitude(mscaleAllDim, factor);
      }
      return magnitude(1, factor);
    }
  }

  /**
   * YaRN (Peng et al. 2023, arXiv:2309.00071, section 3.2): pairs that turn often are kept, slow
   * ones interpolated, a ramp lies between.
   */
  public static RopeFrequencies yarn(int rotaryWidth, double theta, Yarn yarn) {
    requirePositive("factor", yarn.factor());
    requirePositive("originalContext", yarn.originalContext());
    requirePositive("betaFast", yarn.betaFast());
    requirePositive("betaSlow", yarn.betaSlow());
    double[] inv = base(rotaryWidth, theta);
    double low = pairOfRotations(yarn.betaFast(), rotaryWidth, theta, yarn.originalContext());
    double high = pairOfRotations(yarn.betaSlow(), rotaryWidth, theta, yarn.originalContext());
    if (yarn.truncate()) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, rotaryWidth - 1);
    if (low == high) high += 0.001;
    for (int i = 0; i < inv.length; i++) {
      double ramp = Math.min(Math.max((i - low) / (high - low), 0), 1);
      inv[i] = inv[i] / yarn.factor() * ramp + inv[i] * (1 - ramp);
    }
    return new RopeFrequencies(inv, yarn.resolvedAttentionFactor());
  }

  /**
   * {@code g(m) = 0.1 m ln(factor) + 1}, and 1 for factors up to 1: the growth of attention logits
   * that YaRN compensates.
   */
  public static double magnitude(double mscale, double factor) {
    return factor <= 1 ? 1 : 0.1 * mscale * StrictMath.log(factor) + 1;
  }

  /** Pairs of a rotary part: half its width. */
  public int numPairs() {
    return frequencies.length;
  }

  /**
   * Radians per position of a pair.
   *
   * @throws IndexOutOfBoundsException if there is no such pair
   */
  public double frequency(int pair) {
    return frequencies[Objects.checkIndex(pair, frequencies.length)];
  }

  /** What cosines and sines are multiplied by: 1 except for YaRN. */
  public double attentionFactor() {
    return attentionFactor;
  }

  /**
   * Writes the angles of consecutive positions.
   *
   * @param firstPosition position of the first row
   * @param cos [numTokens, numPairs] f32, overwritten
   * @param sin [numTokens, numPairs] f32, overwritten
   * @throws IllegalArgumentException naming the argument that is wrong
   */
  public void angles(long firstPosition, Tensor cos, Tensor sin) {
    cos.require("cos", F32, ANY, numPairs());
    sin.require("sin", F32, cos.dim(0), numPairs());
    if (firstPosition < 0)
      throw new IllegalArgumentException(
          "firstPosition must not be negative, found " + firstPosition);
    if (!cos.memory().isHost() || !sin.memory().isHost()) {
      try (Tensor hostCos = Tensor.f32(cos.shape());
          Tensor hostSin = Tensor.f32(sin.shape())) {
        angles(firstPosition, hostCos, hostSin);
        cos.copyFrom(hostCos);
        sin.copyFrom(hostSin);
      }
      return;
    }
    NativeCall call = NativeCall.enter(); // a close() on another thread waits
    try {
      FloatBuffer cosines = Internals.bytes(cos).asFloatBuffer();
      FloatBuffer sines = Internals.bytes(sin).asFloatBuffer();
      for (long row = 0; row < cos.dim(0); row++) {
        for (double frequency : frequencies) {
          double angle = (firstPosition + row) * frequency;
          // StrictMath: the same bits on every JDK
          cosines.put((float) (StrictMath.cos(angle) * attentionFactor));
          sines.put((float) (StrictMath.sin(angle) * attentionFactor));
        }
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(cos);
      Reference.reachabilityFence(sin);
    }
  }

  /** The pair, as a fraction, that turns this many times over the context. */
  private static double pairOfRotations(
      double rotations, int rotaryWidth, double theta, double context) {
    return rotaryWidth
        * StrictMath.log(context / (2 * Math.PI * rotations))
        / (2 * StrictMath.log(theta));
  }

  private static double[] base(int rotaryWidth, double theta) {
    if (rotaryWidth < 2 || rotaryWidth % 2 != 0)
      throw new IllegalArgumentException(
          "rotaryWidth must be even and positive, found " + rotaryWidth);
    requirePositive("theta", theta);
    double[] inv = new double[rotaryWidth / 2];
    for (int i = 0; i < inv.length; i++) inv[i] = StrictMath.pow(theta, -2.0 * i / rotaryWidth);
    return inv;
  }

  private static void requirePositive(String name, double value) {
    if (!(value > 0) || Double.isInfinite(value))
      throw new IllegalArgumentException(name + " must be positive, found " + value);
  }
}
