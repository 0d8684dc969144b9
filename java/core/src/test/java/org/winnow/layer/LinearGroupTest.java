package org.winnow.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightLayout;
import org.winnow.internal.Resources;

@ContractTest
public class LinearGroupTest {
  private static final int INPUT_SIZE = 70;

  private final Random random = new Random(43);
  private final Backend backend = BackendsUnderTest.shared();

  /** What is multiplied alike and what is not, in one group: more maps than one call takes. */
  private record Map(DType weight, WeightLayout layout, DType activations, int size, boolean bias) {
    static final List<Map> ALL =
        List.of(
            new Map(DType.BF16, WeightLayout.PANELS, DType.BF16, 96, false),
            new Map(DType.BF16, WeightLayout.PANELS, DType.BF16, 33, true),
            new Map(DType.BF16, WeightLayout.ROWS, DType.BF16, 5, false),
            new Map(DType.BF16, WeightLayout.ROWS, DType.BF16, 40, true),
            new Map(DType.BF16, WeightLayout.ROWS, DType.F32, 40, false),
            new Map(DType.F16, WeightLayout.PANELS, DType.F32, 64, false),
            new Map(DType.F32, WeightLayout.PANELS, DType.F32, 7, false),
            new Map(DType.F32, WeightLayout.PANELS, DType.F32, 300, true));
  }

  @ParameterizedTest
  @MethodSource(BackendsUnderTest.VARIANTS)
  void hasTheBitsOfEachMapAlone(Variant variant) {
    List<Supplier<Backend>> openers = new ArrayList<>(variant.sameBits());
    openers.add(0, variant.opener());
    for (Supplier<Backend> opener : openers) {
      try (Backend own = opener.get()) {
        for (int numTokens : new int[] {1, 2, 5, 140}) { // 140: more than a block of rows
          requireSameBits(own, DType.F32, numTokens);
          requireSameBits(own, DType.BF16, numTokens);
        }
      }
    }
  }

  private void requireSameBits(Backend own, DType inputType, int numTokens) {
    try (Resources open = new Resources()) {
      Tensor input = open.keep(reals(own, inputType, numTokens, INPUT_SIZE));
      List<Linear> maps = new ArrayList<>();
      List<Tensor> outputs = new ArrayList<>();
      List<float[]> expected = new ArrayList<>();
      for (Map map : Map.ALL) {
        Tensor weight = open.keep(reals(own, map.weight, map.size, INPUT_SIZE));
        WeightLayout layout = own.memory().isHost() ? map.layout : WeightLayout.ROWS;
        layout.arrange(weight);
        Tensor bias = map.bias ? open.keep(reals(own, DType.F32, map.size)) : null;
        Linear linear = open.keep(new Linear(Matrix.of(layout, weight), bias, map.activations));
        Tensor output = open.keep(own.f32(numTokens, map.size).fill(Float.NaN));
        linear.run(own, input, output);
        expected.add(output.toFloatArray());
        output.fill(Float.NaN);
        maps.add(linear);
        outputs.add(output);
      }
      new LinearGroup(maps.toArray(Linear[]::new)).run(own, input, outputs.toArray(Tensor[]::new));
      for (int i = 0; i < maps.size(); i++)
        assertThat(outputs.get(i).toFloatArray())
            .as(Map.ALL.get(i) + ", " + numTokens + " rows of " + inputType)
            .isEqualTo(expected.get(i));
    }
  }

  @Test
  void computesNoRows() {
    try (Tensor weight = backend.f32(3, 4);
        Tensor input = backend.f32(0, 4);
        Tensor first = backend.f32(0, 3);
        Tensor second = backend.f32(0, 3);
        Linear linear = new Linear(weight, null)) {
      new LinearGroup(linear, linear).run(backend, input, first, second);
    }
  }

  @Test
  void namesWhatDoesNotFit() {
    try (Tensor weight = backend.f32(3, 4);
        Tensor wide = backend.f32(3, 5);
        Tensor input = backend.f32(2, 4);
        Tensor output = backend.f32(2, 3);
        Tensor other = backend.f32(2, 3);
        Tensor small = backend.f32(1, 3);
        Linear linear = new Linear(weight, null);
        Linear unlike = new Linear(wide, null)) {
      assertThatThrownBy(LinearGroup::new)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("maps must be at least 1, found 0");
      assertThatThrownBy(() -> new LinearGroup(linear, unlike))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("input size of maps[1] must be 4, found 5");
      LinearGroup group = new LinearGroup(linear, linear);
      assertThatThrownBy(() -> group.run(backend, input, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("outputs must be 2, found 1");
      assertThatThrownBy(() -> group.run(backend, input, output, small))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("outputs[1] must be [2, 3], found [1, 3]");
      assertThatThrownBy(() -> group.run(backend, input, output, output))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("outputs[1] must not overlap outputs[0]");
      linear.close();
      assertThatThrownBy(() -> group.run(backend, input, output, other))
          .isInstanceOf(IllegalStateException.class);
    }
  }

  private Tensor reals(Backend own, DType type, long... shape) {
    Tensor tensor = own.allocate(type, shape);
    float[] values = new float[Math.toIntExact(tensor.size())];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    return tensor.copyFrom(values);
  }
}
