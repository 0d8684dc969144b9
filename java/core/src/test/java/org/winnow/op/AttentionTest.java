package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.AttentionProblem.Shape;

@ContractTest
public class AttentionTest {
  private static final int MANY = BackendsUnderTest.sized(9, 65, 130);
  private static final int LONG = BackendsUnderTest.sized(520, 970);
  private static final int LATENTS = BackendsUnderTest.sized(520, 600, 900);
  private static final int HEADS = BackendsUnderTest.sized(4, 8, 16);

  private static final List<DType> ELEMENTS = List.of(DType.F32, DType.BF16, DType.F16);

  private final Backend backend = BackendsUnderTest.shared();

  /**
   * Instruction set, shape, sliding window, sinks: one head and many, groups of 1 to 8, odd widths,
   * block and split edges.
   */
  static Stream<Arguments> problems() {
    return BackendsUnderTest.variants().stream()
        .flatMap(variant -> ELEMENTS.stream().flatMap(element -> problems(variant, element)));
  }

  private static Stream<Arguments> problems(Variant variant, DType element) {
    return Stream.of(
        Arguments.of(variant, new Shape(1, 1, 1, 1, 1, 1).of(element), 0, false),
        Arguments.of(variant, new Shape(1, 1, 2, 1, 5, 3).of(element), 0, true),
        Arguments.of(variant, new Shape(48, 48, 4, 2, 16, 16).of(element), 0, false),
        Arguments.of(variant, new Shape(48, 48, 4, 2, 32, 32).of(element), 16, true),
        Arguments.of(variant, new Shape(65, 65, 3, 3, 17, 19).of(element), 0, false),
        Arguments.of(variant, new Shape(17, 150, 3, 3, 64, 48).of(element), 0, true),
        Arguments.of(variant, new Shape(64, 127, 5, 1, 33, 7).of(element), 63, true),
        Arguments.of(variant, new Shape(1, 511, 8, 1, 128, 128).of(element), 0, false),
        Arguments.of(variant, new Shape(2, 513, 14, 2, 64, 64).of(element), 0, true),
        Arguments.of(variant, new Shape(MANY, LONG + MANY, 8, 2, 48, 40).of(element), 0, false),
        Arguments.of(variant, new Shape(MANY, LONG + MANY, 4, 4, 24, 24).of(element), 300, false),
        Arguments.of(variant, new Shape(3, 130, 5, 1, 19, 12).of(element).latents(), 0, false),
        Arguments.of(
            variant, new Shape(1, LATENTS, HEADS, 1, 576, 512).of(element).latents(), 0, false));
  }

  @ParameterizedTest
  @MethodSource("problems")
  void agreesWithDoublePrecision(Variant variant, Shape shape, int slidingWindow, boolean sinks) {
    try (var p =
        AttentionProblem.random(variant.backend(), new Random(42), shape, slidingWindow, sinks)) {
      p.fillCache().check(p.run(), shape.numTokens() > 100 ? 13 : 1, 3);
    }
  }

  @ParameterizedTest
  @MethodSource("problems")
  void hasTheSameBitsAloneAndInABatchAndOnAnyNumberOfThreads(
      Variant variant, Shape shape, int slidingWindow, boolean sinks) {
    Backend backend = variant.backend();
    try (var p = AttentionProblem.random(backend, new Random(7), shape, slidingWindow, sinks)) {
      float[] expected = p.fillCache().run();
      assertThat(p.run(backend, 1)).isEqualTo(expected);
      assertThat(p.run(backend, 29)).isEqualTo(expected);
      for (var opener : variant.sameBits()) {
        try (Backend other = opener.get()) {
          assertThat(p.run(other)).isEqualTo(expected);
          assertThat(p.run(other, 1)).isEqualTo(expected);
          assertThat(p.run(other, 29)).isEqualTo(expected);
        }
      }
    }
  }

  /**
   * With scale 0 all weights are 1: the sum of small integers is exact in any order, the quotient
   * is rounded once.
   */
  @ParameterizedTest
  @MethodSource("problems")
  void equalWeightsGiveTheExactMean(
      Variant variant, Shape shape, int slidingWindow, boolean sinks) {
    Random random = new Random(3);
    int positions = shape.numPositions();
    float[] values = smallIntegers(random, positions * shape.numKvHeads() * shape.valueWidth());
    float[] query =
        AttentionProblem.gaussian(random, shape.numTokens() * shape.numHeads() * shape.keyWidth());
    float[] keys = smallIntegers(random, positions * shape.numKvHeads() * shape.keyWidth());
    try (var p =
        new AttentionProblem(
            variant.backend(), shape, 0, slidingWindow, query, keys, values, null)) {
      float[] result = p.fillCache().run();
      for (int i = 0; i < result.length; i++) {
        int column = i % shape.valueWidth();
        int head = i / shape.valueWidth() % shape.numHeads();
        int position = p.firstPosition() + i / shape.valueWidth() / shape.numHeads();
        int begin = slidingWindow == 0 ? 0 : Math.max(0, position - slidingWindow + 1);
        float sum = 0;
        for (int j = begin; j <= position; j++) {
          sum +=
              p.values()[
                  (j * shape.numKvHeads() + head / (shape.numHeads() / shape.numKvHeads()))
                          * shape.valueWidth()
                      + column];
        }
        assertThat(result[i]).as("element %d", i).isEqualTo(sum / (position + 1 - begin));
      }
    }
  }

  private static float[] smallIntegers(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = random.nextInt(9) - 4;
    return values;
  }

  /**
   * Each query is the key of one earlier position, or its opposite with a negative scale. Every
   * other weight underflows to 0, so the output is that position's value, bit for bit.
   */
  @ParameterizedTest
  @MethodSource("elementsAndSigns")
  void findsTheOneKeyThatMatches(Variant variant, DType element, int sign) {
    int numTokens = BackendsUnderTest.sized(20, 200);
    var shape = new Shape(numTokens, 700, 2, 2, 64, 16).of(element);
    Random random = new Random(5);
    float[] keys = new float[700 * 2 * 64];
    for (int i = 0; i < keys.length; i++) keys[i] = random.nextBoolean() ? 1 : -1;
    float[] values = AttentionProblem.gaussian(random, 700 * 2 * 16);
    float[] query = new float[numTokens * 2 * 64];
    int[] target = new int[numTokens * 2];
    for (int row = 0; row < target.length; row++) {
      target[row] = random.nextInt(701 - numTokens + row / 2);
      for (int i = 0; i < 64; i++)
        query[row * 64 + i] = sign * keys[(target[row] * 2 + row % 2) * 64 + i];
    }
    try (var p =
        new AttentionProblem(variant.backend(), shape, sign * 200, 0, query, keys, values, null)) {
      float[] result = p.fillCache().run();
      for (int row = 0; row < target.length; row++) {
        for (int c = 0; c < 16; c++) {
          assertThat(result[row * 16 + c])
              .as("row %d", row)
              .isEqualTo(p.values()[(target[row] * 2 + row % 2) * 16 + c]);
        }
      }
    }
  }

  static Stream<Arguments> elementsAndSigns() {
    return BackendsUnderTest.variants().stream()
        .flatMap(
            variant ->
                ELEMENTS.stream()
                    .flatMap(
                        e -> Stream.of(Arguments.of(variant, e, 1), Arguments.of(variant, e, -1))));
  }

  /** Positions that end in the first, a middle and the last lane of a vector, block and split. */
  static Stream<Arguments> lastPositions() {
    return BackendsUnderTest.variants().stream()
        .flatMap(
            variant ->
                Stream.of(2, 4, 8, 16, 17, 32, 63, 64, 65, 513, 520, 528, 576)
                    .flatMap(
                        n ->
                            ELEMENTS.stream()
                                .map(e -> Arguments.of(variant, e, n, e != DType.F16))));
  }

  /** Widths of parts of a vector, and of whole tiles of every instruction set. */
  private static final int[][] KEY_AND_VALUE_WIDTHS = {{8, 5}, {32, 16}};

  @ParameterizedTest
  @MethodSource("lastPositions")
  void aNaNReachesEveryRowThatSeesItAndNoOther(
      Variant variant, DType element, int numPositions, boolean sinks) {
    for (int[] widths : KEY_AND_VALUE_WIDTHS) {
      int keyWidth = widths[0];
      int valueWidth = widths[1];
      Shape shape = new Shape(2, numPositions, 2, 1, keyWidth, valueWidth).of(element);
      Random random = new Random(11);
      float[] query = AttentionProblem.gaussian(random, 2 * 2 * keyWidth);
      float[] keys = AttentionProblem.gaussian(random, numPositions * keyWidth);
      float[] values = AttentionProblem.gaussian(random, numPositions * valueWidth);
      float[] sinkLogits = sinks ? AttentionProblem.gaussian(random, 2) : null;
      int rowValues = 2 * valueWidth;
      int last = numPositions - 1; // only the second token sees it
      values[last * valueWidth + 3] = Float.NaN;
      float[] result = run(variant, shape, query, keys, values, sinkLogits);
      for (int i = 0; i < result.length; i++)
        assertThat(Float.isNaN(result[i]))
            .as("value, element %d", i)
            .isEqualTo(i >= rowValues && i % valueWidth == 3);
      values[last * valueWidth + 3] = 1;
      keys[last * keyWidth + 3] = Float.NaN;
      result = run(variant, shape, query, keys, values, sinkLogits);
      for (int i = 0; i < result.length; i++)
        assertThat(Float.isNaN(result[i])).as("key, element %d", i).isEqualTo(i >= rowValues);
      keys[last * keyWidth + 3] = 1;
      query[2 * keyWidth + 6] = Float.NaN; // of the second token's first head
      result = run(variant, shape, query, keys, values, sinkLogits);
      for (int i = 0; i < result.length; i++)
        assertThat(Float.isNaN(result[i]))
            .as("query, element %d", i)
            .isEqualTo(i / valueWidth == 2);
    }
  }

  /** All weights are 0: the sink takes everything, and without one there is nothing to divide. */
  @ParameterizedTest
  @MethodSource("lastPositions")
  void scoresOfMinusInfinityWeighNothing(
      Variant variant, DType element, int numPositions, boolean sinks) {
    for (int[] widths : new int[][] {{1, 5}, {32, 16}}) {
      int keyWidth = widths[0];
      int valueWidth = widths[1];
      Shape shape = new Shape(2, numPositions, 2, 1, keyWidth, valueWidth).of(element);
      float[] query = new float[2 * 2 * keyWidth];
      Arrays.fill(query, 1);
      float[] keys = new float[numPositions * keyWidth];
      Arrays.fill(keys, Float.NEGATIVE_INFINITY);
      float[] values = AttentionProblem.gaussian(new Random(12), numPositions * valueWidth);
      float[] sinkLogits = sinks ? new float[] {1, -2} : null;
      for (float value : run(variant, shape, query, keys, values, sinkLogits)) {
        if (sinks) assertThat(value).isZero();
        else assertThat(value).isNaN();
      }
      Arrays.fill(keys, 0, keyWidth, 0.5f);
      float[] result = run(variant, shape, query, keys, values, null);
      for (int i = 0; i < result.length; i++)
        assertThat(result[i]).isEqualTo(AttentionProblem.rounded(values[i % valueWidth], element));
    }
  }

  private static float[] run(
      Variant variant,
      Shape shape,
      float[] query,
      float[] keys,
      float[] values,
      float[] sinkLogits) {
    try (var p =
        new AttentionProblem(variant.backend(), shape, 1, 0, query, keys, values, sinkLogits)) {
      return p.fillCache().run();
    }
  }

  @Test
  void comparatorFailsOnNaNAndOnOneWrongElement() {
    try (var p =
        AttentionProblem.random(backend, new Random(1), new Shape(3, 9, 2, 1, 8, 8), 0, false)) {
      float[] result = p.fillCache().run();
      p.check(result, 1, 1);
      float kept = result[17];
      result[17] = Float.NaN;
      assertThatThrownBy(() -> p.check(result, 1, 1)).isInstanceOf(AssertionError.class);
      result[17] = kept + 1e-3f;
      assertThatThrownBy(() -> p.check(result, 1, 1))
          .isInstanceOf(AssertionError.class)
          .hasMessageStartingWith("token 1, head 0, column 1");
    }
  }

  @Test
  void namesTheArgumentThatIsWrong() {
    try (var p =
            AttentionProblem.random(backend, new Random(1), new Shape(2, 9, 4, 2, 8, 6), 0, false);
        Tensor query = backend.f32(2, 4, 8);
        Tensor threeHeads = backend.f32(2, 3, 8);
        Tensor narrow = backend.f32(2, 4, 7);
        Tensor output = backend.f32(2, 4, 6);
        Tensor threeHeadsOutput = backend.f32(2, 3, 6);
        Tensor sinks = backend.f32(3)) {
      p.fillCache();
      var options = p.options();
      assertThatThrownBy(() -> Attention.run(backend, narrow, p.cache(), 0, 0, options, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("query must be [any, any, 8], found [2, 4, 7]");
      assertThatThrownBy(() -> Attention.run(backend, query, p.cache(), 0, 0, options, query))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("output must be [2, 4, 6], found [2, 4, 8]");
      assertThatThrownBy(
              () -> Attention.run(backend, threeHeads, p.cache(), 0, 0, options, threeHeadsOutput))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("query must have a multiple of 2 heads, found 3");
      assertThatThrownBy(() -> Attention.run(backend, query, p.cache(), 0, 8, options, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("positions must lie in [0, 9) of layer 0, found 2 from 8 on");
      assertThatThrownBy(
              () -> Attention.run(backend, query, p.cache(), 0, Long.MAX_VALUE, options, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "positions must lie in [0, 9) of layer 0, found 2 from 9223372036854775807 on");
      assertThatThrownBy(() -> Attention.run(backend, query, p.cache(), 1, 0, options, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("layer must lie in [0, 1), found 1");
      assertThatThrownBy(
              () ->
                  Attention.run(
                      backend, query, p.cache(), 0, 0, new AttentionOptions(1, 0, sinks), output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("sinks must be [4], found [3]");
      assertThatThrownBy(() -> new AttentionOptions(Float.NaN, 0, null))
          .hasMessage("scale must be finite, found NaN");
      assertThatThrownBy(() -> new AttentionOptions(1, -1, null))
          .hasMessage("slidingWindow must not be negative, found -1");
      p.cache().close();
      assertThatThrownBy(() -> Attention.run(backend, query, p.cache(), 0, 0, options, output))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("cache is closed");
    }
  }
}
