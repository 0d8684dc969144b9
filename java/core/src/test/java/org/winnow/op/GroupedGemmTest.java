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
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.op.GroupedGemmProblem.Exact;
import org.winnow.op.GroupedGemmProblem.Form;

@ContractTest
public class GroupedGemmTest {
  /**
   * None, one, around tiles of 2 and 4 rows, enough for panels of every type, more than a block of
   * rows.
   */
  private static final int[] ROWS =
      BackendsUnderTest.sized(
          new int[] {1, 0, 2, 3, 5, 33, 70}, new int[] {1, 0, 2, 3, 4, 5, 12, 13, 33, 140});

  private final Backend backend = BackendsUnderTest.shared();

  static Stream<Arguments> variantsAndTypes() {
    return BackendsUnderTest.matrixVariants().stream()
        .flatMap(
            variant ->
                Stream.of(WeightFormat.values())
                    .flatMap(
                        weight ->
                            INPUT_AND_PRODUCT.stream()
                                .map(t -> Arguments.of(variant, t.get(0), t.get(1), weight))));
  }

  /** A bf16 input is multiplied as it is, whatever the type of the product. */
  private static final List<List<DType>> INPUT_AND_PRODUCT =
      List.of(
          List.of(DType.F32, DType.F32),
          List.of(DType.F32, DType.BF16),
          List.of(DType.BF16, DType.F32));

  /** The layouts in which a backend takes weights of that format. */
  private static List<WeightLayout> layouts(Variant variant, WeightFormat format) {
    return Stream.of(WeightLayout.values())
        .filter(layout -> layout == WeightLayout.ROWS || variant.backend().memory().isHost())
        .filter(format::has)
        .toList();
  }

  /** inputSize 1 to a step and one more; outputSize around panels of 4, 6 and 16. */
  private static final int[][] SIZES = {{1, 1}, {15, 6}, {33, 7}, {64, 13}, {66, 33}};

  private static final int LONG_SUM = BackendsUnderTest.sized(141, 1061);

  /** Few and many, where inputSize goes beyond one block along k. */
  private static final int[] ROWS_OF_LONG_SUMS = {3, 0, 13, 33};

  @ParameterizedTest
  @MethodSource("variantsAndTypes")
  void smallIntegersAreExactInAnySummationOrder(
      Variant variant, DType inputType, DType productType, WeightFormat weightFormat) {
    for (boolean gated : new boolean[] {false, true}) {
      for (WeightLayout layout : layouts(variant, weightFormat)) {
        Form form =
            new Form(inputType, productType, weightFormat, DType.F32, gated, true, Activation.RELU)
                .in(layout);
        for (int[] size : SIZES) assertExact(variant.backend(), form, ROWS, size[0], size[1]);
        assertExact(variant.backend(), form, ROWS_OF_LONG_SUMS, LONG_SUM, 5);
        assertExact(variant.backend(), form, new int[] {2, 5}, 40, 200);
      }
    }
  }

  private static void assertExact(
      Backend backend, Form form, int[] rows, int inputSize, int outputSize) {
    try (var p =
        GroupedGemmProblem.smallIntegers(backend, form, new Random(42), rows, inputSize, outputSize)
            .run()) {
      assertEveryElement(p, (exact, found) -> (float) exact.value() == found);
    }
  }

  static Stream<Arguments> variantsAndForms() {
    return BackendsUnderTest.matrixVariants().stream()
        .flatMap(
            variant ->
                Stream.of(Activation.values())
                    .flatMap(
                        activation ->
                            Stream.of(WeightFormat.values())
                                .map(
                                    weight ->
                                        Arguments.of(
                                            variant,
                                            new Form(
                                                weight == WeightFormat.F32 ? DType.F32 : DType.BF16,
                                                DType.F32,
                                                weight,
                                                weight == WeightFormat.BF16
                                                    ? DType.BF16
                                                    : DType.F32,
                                                true,
                                                weight != WeightFormat.BF16,
                                                activation)))));
  }

  @ParameterizedTest
  @MethodSource("variantsAndForms")
  void realsAreWithinTheBoundOfF32Arithmetic(Variant variant, Form gated) {
    for (boolean pair :
        gated.activation().needsGate() ? new boolean[] {true} : new boolean[] {true, false}) {
      Form form =
          new Form(
              gated.inputType(),
              gated.productType(),
              gated.weightFormat(),
              gated.outputType(),
              pair,
              gated.biased(),
              gated.activation());
      for (WeightLayout layout : layouts(variant, form.weightFormat())) {
        try (var p =
            GroupedGemmProblem.reals(
                    variant.backend(),
                    form.in(layout),
                    new Random(42),
                    new int[] {2, 0, 1, 9, 17},
                    67,
                    19)
                .run()) {
          assertEveryElement(p, (exact, found) -> Math.abs(found - exact.value()) <= exact.bound());
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("variantsAndFormats")
  void productsInBf16AreWithinTheBoundForRoundedInputs(Variant variant, WeightFormat weights) {
    for (boolean gated : new boolean[] {false, true}) {
      Form form = productInBf16(DType.F32, weights, gated);
      try (var p =
          GroupedGemmProblem.reals(
                  variant.backend(), form, new Random(42), new int[] {2, 0, 1, 9, 17}, 67, 19)
              .run()) {
        assertEveryElement(p, (exact, found) -> Math.abs(found - exact.value()) <= exact.bound());
      }
    }
  }

  static Stream<Arguments> variantsAndFormats() {
    return BackendsUnderTest.matrixVariants().stream()
        .flatMap(
            variant ->
                Stream.of(WeightFormat.values()).map(format -> Arguments.of(variant, format)));
  }

  private static Form productInBf16(DType inputType, WeightFormat weights, boolean gated) {
    return new Form(inputType, DType.BF16, weights, DType.F32, gated, true, Activation.SILU);
  }

  /** Ties to even, both signs, a carry into the exponent, infinity, NaN, subnormals. */
  private static final int[] HARD_TO_ROUND = {
    0x3f808000, 0x3f818000, 0xbf808000, 0xbf818001, 0x3fffffff, 0x7f7fffff, 0xff800000, 0x7f800001,
    0x7fc00000, 0xffffffff, 0x00000001, 0x007fffff, 0x80008000, 0x00018000, 0x80000000, 0x3f807fff
  };

  @ParameterizedTest
  @MethodSource("variantsAndFormats")
  void aProductInBf16HasTheBitsOfAnInputStoredAsBf16(Variant variant, WeightFormat weights) {
    int[] rows = {HARD_TO_ROUND.length, 0, 3};
    int size = LONG_SUM;
    try (var f32 = rounded(variant.backend(), DType.F32, weights, rows, size);
        var bf16 = rounded(variant.backend(), DType.BF16, weights, rows, size)) {
      float[] values = f32.input().toFloatArray();
      for (int token = 0; token < HARD_TO_ROUND.length && token * size < values.length; token++)
        values[token * size + token] = Float.intBitsToFloat(HARD_TO_ROUND[token]);
      f32.input().copyFrom(values);
      bf16.input().copyFrom(values);
      assertThat(f32.run().output().toFloatArray()).isEqualTo(bf16.run().output().toFloatArray());
    }
  }

  private static GroupedGemmProblem rounded(
      Backend backend, DType inputType, WeightFormat weights, int[] rows, int size) {
    Form form = productInBf16(inputType, weights, true);
    return GroupedGemmProblem.reals(backend, form, new Random(4), rows, size, 13);
  }

  @Test
  void theComparatorRefusesAnElementThatIsOffByMoreThanTheBound() {
    try (var p =
        GroupedGemmProblem.reals(backend, Form.plain(), new Random(42), new int[] {3}, 64, 5)
            .run()) {
      p.output().setFloat(7, (float) (p.exact(1, 2).value() + 3 * p.exact(1, 2).bound()));
      assertThatThrownBy(
              () ->
                  assertEveryElement(
                      p, (exact, found) -> Math.abs(found - exact.value()) <= exact.bound()))
          .isInstanceOf(AssertionError.class)
          .hasMessageContaining("row 1, column 2");
      p.output().setFloat(7, Float.NaN);
      assertThatThrownBy(
              () ->
                  assertEveryElement(
                      p, (exact, found) -> Math.abs(found - exact.value()) <= exact.bound()))
          .isInstanceOf(AssertionError.class);
    }
  }

  @ParameterizedTest
  @MethodSource("variantsAndTypes")
  void theBitsDependNeitherOnThreadsNorOnTheOtherRows(
      Variant variant, DType inputType, DType productType, WeightFormat weightFormat) {
    Form form =
        new Form(inputType, productType, weightFormat, DType.F32, true, true, Activation.SILU);
    for (WeightLayout layout : layouts(variant, weightFormat))
      theBitsDependNeitherOnThreadsNorOnTheOtherRows(variant, form.in(layout));
  }

  private static void theBitsDependNeitherOnThreadsNorOnTheOtherRows(Variant variant, Form form) {
    int[] rowsPerExpert = {BackendsUnderTest.sized(37, 70, 140), 0, 3};
    int columns = BackendsUnderTest.sized(37, 45, 125);
    Backend backend = variant.backend();
    try (var p =
        GroupedGemmProblem.reals(backend, form, new Random(7), rowsPerExpert, LONG_SUM, columns)
            .run()) {
      float[] expected = p.output().toFloatArray();
      for (var opener : variant.sameBits()) {
        try (Backend other = opener.get()) {
          p.output().fill(Float.NaN);
          assertThat(p.run(other).output().toFloatArray()).isEqualTo(expected);
        }
      }
      p.output().fill(Float.NaN);
      assertThat(p.run().output().toFloatArray()).isEqualTo(expected);
      if (!variant.rowsAreIndependent()) return;
      for (int rows = 1;
          rows <= 33;
          rows = rows < 5 ? rows + 1 : rows * 2) { // expert 0 with its first rows only
        try (Tensor offsets = backend.of(new int[] {0, rows, rows, rows}, 4);
            Tensor active = backend.of(new int[] {0}, 1);
            Tensor output = backend.f32(rows, columns)) {
          GroupedGemm.run(
              backend,
              p.input(),
              p.sourceRows(),
              offsets,
              active,
              1,
              p.weights(),
              form.activation(),
              output);
          assertThat(output.toFloatArray()).isEqualTo(Arrays.copyOf(expected, rows * columns));
        }
      }
    }
  }

  @Test
  void computesOnlyActiveExpertsAndReadsNothingOfOthers() {
    try (var p =
            GroupedGemmProblem.reals(
                backend, Form.plain(), new Random(3), new int[] {4, 5, 6}, 33, 9);
        Tensor active = backend.of(new int[] {1, 9, 9}, 3)) {
      p.weights().clear(0);
      p.weights().clear(2);
      GroupedGemm.run(
          backend,
          p.input(),
          p.sourceRows(),
          p.expertOffsets(),
          active,
          1,
          p.weights(),
          Activation.NONE,
          p.output());
      float[] found = p.output().toFloatArray();
      for (int row = 0; row < 15; row++) {
        for (int column = 0; column < 9; column++) {
          assertThat(Float.isNaN(found[row * 9 + column])).isEqualTo(row < 4 || row >= 9);
        }
      }
    }
  }

  @Test
  void nothingToDoIsDone() {
    try (var p =
        GroupedGemmProblem.reals(backend, Form.plain(), new Random(3), new int[] {0, 0}, 4, 3)) {
      p.run();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "BF16"})
  void infinitiesAndNansInOneRowStayInThatRow(DType inputType) {
    Form form =
        new Form(
            inputType,
            DType.F32,
            WeightFormat.of(inputType),
            DType.F32,
            true,
            false,
            Activation.SILU);
    try (var p = GroupedGemmProblem.reals(backend, form, new Random(5), new int[] {6}, 40, 7)) {
      int poisoned = p.source(2);
      p.input().setFloat(poisoned * 40L + 39, Float.NaN);
      p.run();
      for (int row = 0; row < 6; row++) {
        assertThat(Float.isNaN(p.output().getFloat(row * 7L + 6)))
            .isEqualTo(p.source(row) == poisoned);
      }
    }
  }

  @Test
  void takesAPlan() {
    try (var p =
            GroupedGemmProblem.reals(backend, Form.plain(), new Random(1), new int[] {2, 1}, 4, 3);
        ExpertPlan empty = new ExpertPlan(backend.memory());
        Tensor half = backend.f32(2, 3)) {
      assertThatThrownBy(
              () -> GroupedGemm.run(backend, p.input(), empty, p.weights(), Activation.NONE, half))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("expertOffsets must be [3], found [2]");
      empty.close();
      assertThatThrownBy(
              () -> GroupedGemm.run(backend, p.input(), empty, p.weights(), Activation.NONE, half))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void aListMayEndWithNone() {
    try (var p =
            GroupedGemmProblem.reals(
                backend, Form.plain(), new Random(3), new int[] {0, 5, 0, 6}, 33, 9);
        Tensor active = backend.of(new int[] {1, 3, -1, -1}, 4)) {
      GroupedGemm.run(
          backend,
          p.input(),
          p.sourceRows(),
          p.expertOffsets(),
          active,
          4,
          p.weights(),
          Activation.NONE,
          p.output());
      assertEveryElement(p, (exact, found) -> Math.abs(found - exact.value()) <= exact.bound());
    }
  }

  private interface Accepts {
    boolean test(Exact exact, float found);
  }

  private static void assertEveryElement(GroupedGemmProblem p, Accepts accepts) {
    float[] elements = p.output().toFloatArray();
    for (int row = 0; row < p.numRows(); row++) {
      for (int column = 0; column < p.outputSize(); column++) {
        float found = elements[row * p.outputSize() + column];
        Exact exact = p.exact(row, column);
        if (!accepts.test(exact, found))
          throw new AssertionError(
              p.form() + ", row " + row + ", column " + column + ": found " + found + ", " + exact);
      }
    }
  }
}
