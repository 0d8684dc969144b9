package org.winnow.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;

@ContractTest
public class ActiveColumnsTest {
  private final Backend backend = BackendsUnderTest.shared();
  private final ActiveColumns columns = new ActiveColumns(backend.memory());

  @AfterEach
  void close() {
    columns.close();
  }

  @ParameterizedTest
  @CsvSource({
    "1, 1, 1, 1",
    "1, 64, 64, 1",
    "3, 60, 20, 2",
    "2, 257, 257, 256",
    "2, 512, 256, 255",
    "5, 24, 1, 1",
    "4, 96, 32, 32",
    "1, 1024, 1024, 700"
  })
  void choosesTheLargestOfEachBlock(int numTokens, int numColumns, int blockSize, int topK) {
    // few values, so that there are ties
    float[] logits = integers(new Random(1), numTokens * numColumns);
    float[] bias = integers(new Random(2), numColumns);
    try (Tensor z = backend.of(logits, numTokens, numColumns);
        Tensor b = backend.of(bias, numColumns)) {
      columns.choose(backend, z, b, ColumnRule.topKOfBlocks(blockSize, topK));
      assertThat(columns.numTokens()).isEqualTo(numTokens);
      for (int t = 0; t < numTokens; t++) {
        List<Integer> expected = new ArrayList<>();
        for (int first = 0; first < numColumns; first += blockSize) {
          List<Integer> block = new ArrayList<>();
          for (int i = first; i < first + blockSize; i++) block.add(i);
          int row = t * numColumns;
          block.sort(Comparator.comparing(i -> -(logits[row + i] + bias[i]))); // stable
          expected.addAll(block.subList(0, topK).stream().sorted().toList());
        }
        assertThat(columns.columnsOf(t))
            .as("token %d", t)
            .containsExactly(expected.toArray(Integer[]::new));
      }
    }
  }

  @Test
  void ofEqualLogitsTheFirstAreChosenAndMinusZeroEqualsZero() {
    float[] logits = {0, -0f, 0, -1, Float.NEGATIVE_INFINITY, 1, -0f, Float.POSITIVE_INFINITY};
    try (Tensor z = backend.of(logits, 1, logits.length)) {
      columns.choose(backend, z, null, ColumnRule.topK(4));
      assertThat(columns.columnsOf(0)).containsExactly(0, 1, 5, 7);
      columns.choose(backend, z, null, ColumnRule.threshold(0));
      assertThat(columns.columnsOf(0)).containsExactly(0, 1, 2, 5, 6, 7);
      columns.choose(backend, z, null, ColumnRule.threshold(Float.POSITIVE_INFINITY));
      assertThat(columns.columnsOf(0)).containsExactly(7);
    }
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "3, 255", "2, 256", "2, 257", "4, 1000"})
  void aThresholdIsReachedByWhatEqualsIt(int numTokens, int numColumns) {
    float[] logits = integers(new Random(3), numTokens * numColumns);
    try (Tensor z = backend.of(logits, numTokens, numColumns)) {
      for (float threshold : new float[] {-9, -1, 3, 9}) {
        columns.choose(backend, z, null, ColumnRule.threshold(threshold));
        for (int t = 0; t < numTokens; t++) {
          List<Integer> expected = new ArrayList<>();
          for (int i = 0; i < numColumns; i++)
            if (logits[t * numColumns + i] >= threshold) expected.add(i);
          assertThat(columns.columnsOf(t)).containsExactly(expected.toArray(Integer[]::new));
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"8, 1", "32, 3", "300, 300"})
  void scalesAreTheSoftmaxOfTheBlock(int blockSize, int topK) {
    int numColumns = 2 * blockSize;
    float[] logits = new float[3 * numColumns];
    Random random = new Random(4);
    for (int i = 0; i < logits.length; i++) logits[i] = (float) (4 * random.nextGaussian());
    try (Tensor z = backend.of(logits, 3, numColumns)) {
      columns.choose(backend, z, null, ColumnRule.topKOfBlocks(blockSize, topK).scaledBySoftmax());
      assertThat(columns.isScaled()).isTrue();
      float[] scales = columns.columnScales().toFloatArray();
      for (int t = 0; t < 3; t++) {
        int[] chosen = columns.columnsOf(t);
        for (int p = 0; p < chosen.length; p++) {
          int first = chosen[p] / blockSize * blockSize;
          double sum = 0;
          for (int i = first; i < first + blockSize; i++)
            sum += Math.exp(logits[t * numColumns + i]);
          double exact = Math.exp(logits[t * numColumns + chosen[p]]) / sum;
          assertThat(Math.abs(scales[t * columns.capacity() + p] - exact))
              .isLessThanOrEqualTo(exact * 0x1p-23);
        }
      }
    }
  }

  @Test
  void givesTheSameBitsInEveryVariant() {
    int numColumns = BackendsUnderTest.sized(500, 20_000);
    float[] logits = new float[4 * numColumns];
    Random random = new Random(5);
    for (int i = 0; i < logits.length; i++) logits[i] = (float) random.nextGaussian();
    ColumnRule rule = ColumnRule.topKOfBlocks(20, 3).scaledBySoftmax();
    try (Tensor z = backend.of(logits, 4, numColumns)) {
      columns.choose(backend, z, null, rule);
      int[] expected = columns.activeColumns().toIntArray();
      float[] scales = columns.columnScales().toFloatArray();
      for (Variant variant : BackendsUnderTest.variants()) {
        columns.choose(variant.backend(), z, null, rule);
        assertThat(columns.activeColumns().toIntArray()).isEqualTo(expected);
        assertThat(columns.columnScales().toFloatArray()).isEqualTo(scales);
      }
    }
  }

  @Test
  void namesTheFirstTokenWithANaN() {
    float[] logits = new float[5 * 40];
    logits[2 * 40 + 39] = Float.NaN;
    logits[4 * 40] = Float.NaN;
    for (ColumnRule rule :
        new ColumnRule[] {ColumnRule.topKOfBlocks(8, 1), ColumnRule.threshold(0)}) {
      try (Tensor z = backend.of(logits, 5, 40)) {
        assertThatThrownBy(() -> columns.choose(backend, z, null, rule))
            .isInstanceOfSatisfying(
                InvalidLogitsException.class, e -> assertThat(e.token()).isEqualTo(2));
        assertThat(columns.numTokens()).isZero();
      }
      try (Tensor z = backend.of(new float[40], 1, 40)) { // and can be used again
        columns.choose(backend, z, null, rule);
        assertThat(columns.numTokens()).isEqualTo(1);
      }
    }
  }

  @Test
  void listsFromOutsideAreChecked() {
    columns.set(10, new int[] {0, 9}, new int[0], new int[] {4});
    assertThat(columns.columnsOf(0)).containsExactly(0, 9);
    assertThat(columns.columnsOf(1)).isEmpty();
    assertThat(columns.columnsOf(2)).containsExactly(4);
    assertThat(columns.numColumns()).isEqualTo(10);
    assertThatThrownBy(() -> columns.set(10, new int[] {1}, new int[] {3, 3}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("columns of token 1 must ascend within [0, 10), found 3 after 3");
    assertThatThrownBy(() -> columns.set(10, new int[] {10}))
        .hasMessage("columns of token 0 must ascend within [0, 10), found 10 after -1");
    assertThat(columns.numTokens()).isEqualTo(3);
  }

  @Test
  void refusesRulesThatDoNotFit() {
    try (Tensor z = backend.of(new float[12], 2, 6)) {
      assertRefused(
          z, ColumnRule.topKOfBlocks(4, 1), "logits must have a multiple of 4 columns, found 6");
      assertRefused(z, ColumnRule.topK(7), "logits must have at least 7 columns, found 6");
    }
    assertThatThrownBy(() -> ColumnRule.topKOfBlocks(4, 5))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("topK must lie in [1, 4], found 5");
    assertThatThrownBy(() -> ColumnRule.threshold(Float.NaN))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("threshold must be a number, found NaN");
  }

  private void assertRefused(Tensor logits, ColumnRule rule, String message) {
    assertThatThrownBy(() -> columns.choose(backend, logits, null, rule))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }

  private static float[] integers(Random random, int size) {
    float[] values = new float[size];
    for (int i = 0; i < size; i++) values[i] = random.nextInt(9) - 4;
    return values;
  }
}
