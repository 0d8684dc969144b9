package org.winnow.layer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Activation;

@ContractTest
public class LinearTest {
  private final Random random = new Random(42);
  private final Backend backend = BackendsUnderTest.shared();

  @Test
  void addsABiasOfAnyTypeToTheProduct() {
    for (DType biasType : new DType[] {DType.F32, DType.BF16}) {
      try (Tensor weight = integers(DType.BF16, 9, 35);
          Tensor bias = integers(biasType, 9);
          Tensor input = integers(DType.F32, 5, 35);
          Tensor output = backend.f32(5, 9).fill(Float.NaN);
          Linear linear = new Linear(weight, bias)) {
        linear.run(backend, input, output);
        float[] found = output.toFloatArray();
        for (int t = 0; t < 5; t++) {
          for (int n = 0; n < 9; n++)
            assertThat(found[t * 9 + n])
                .isEqualTo((float) (bias.getFloat(n) + dot(input, t, weight, n, 35)));
        }
      }
    }
  }

  /** Bit by bit: the rounding is that of a tensor in bf16. */
  @Test
  void activationsInBf16AreThoseOfARoundedInputUnlessTheWeightIsF32() {
    try (Tensor input = reals(DType.F32, 5, 35);
        Tensor rounded = backend.allocate(DType.BF16, 5, 35).copyFrom(input.toFloatArray());
        Tensor output = backend.f32(5, 9);
        Tensor expected = backend.f32(5, 9)) {
      for (DType type : new DType[] {DType.BF16, DType.F16, DType.F32}) {
        try (Tensor weight = reals(type, 9, 35);
            Linear inF32 = new Linear(weight, null);
            Linear linear = new Linear(weight, null, DType.BF16)) {
          boolean rounds = type != DType.F32;
          assertThat(linear.productType()).isEqualTo(rounds ? DType.BF16 : DType.F32);
          linear.run(backend, input, output);
          inF32.run(backend, rounds ? rounded : input, expected);
          assertThat(output.toFloatArray()).as("" + type).isEqualTo(expected.toFloatArray());
          inF32.run(backend, input, expected);
          assertThat(Arrays.equals(output.toFloatArray(), expected.toFloatArray()))
              .isEqualTo(!rounds);
        }
      }
    }
  }

  @Test
  void aGatedBlockMultipliesGateAndUpInOneType() {
    try (Tensor weight = integers(DType.BF16, 6, 6);
        Linear inBf16 = new Linear(weight, null, DType.BF16);
        Linear inF32 = new Linear(weight, null)) {
      assertThatThrownBy(() -> new FeedForward(inBf16, inF32, inF32, Activation.RELU))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("up must multiply in bf16, found f32");
      assertThatThrownBy(() -> new Linear(weight, null, DType.I8))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("activations must be f32 or bf16, found i8");
      new FeedForward(inBf16, inBf16, inF32, Activation.RELU).close();
    }
  }

  private Tensor reals(DType type, long rows, long columns) {
    float[] values = new float[(int) (rows * columns)];
    for (int i = 0; i < values.length; i++) values[i] = (float) random.nextGaussian();
    return backend.allocate(type, rows, columns).copyFrom(values);
  }

  @Test
  void gatedBlockIsGateTimesUpThenDown() {
    try (Tensor gate = integers(DType.F32, 6, 4);
        Tensor up = integers(DType.F32, 6, 4);
        Tensor down = integers(DType.F32, 4, 6);
        Linear gateLinear = new Linear(gate, null);
        Linear upLinear = new Linear(up, null);
        Linear downLinear = new Linear(down, null);
        FeedForward block = new FeedForward(gateLinear, upLinear, downLinear, Activation.RELU)) {
      for (int numTokens : new int[] {3, 1, 7}) { // shrinks and grows its inner buffer
        try (Tensor input = integers(DType.F32, numTokens, 4);
            Tensor output = backend.f32(numTokens, 4).fill(Float.NaN)) {
          block.run(backend, input, output);
          float[] found = output.toFloatArray();
          for (int t = 0; t < numTokens; t++) {
            for (int n = 0; n < 4; n++) {
              double expected = 0;
              for (int i = 0; i < 6; i++)
                expected +=
                    Math.max(dot(input, t, gate, i, 4), 0)
                        * dot(input, t, up, i, 4)
                        * down.getFloat(n * 6 + i);
              assertThat(found[t * 4 + n]).isEqualTo((float) expected);
            }
          }
        }
      }
    }
  }

  @Test
  void namesWhatDoesNotFit() {
    try (Tensor weight = backend.f32(3, 4);
        Tensor bias = backend.f32(4);
        Tensor input = backend.f32(2, 4);
        Tensor output = backend.f32(1, 3)) {
      assertThatThrownBy(() -> new Linear(weight, bias))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("bias must be [3], found [4]");
      try (Linear linear = new Linear(weight, null)) {
        assertThatThrownBy(() -> linear.run(backend, input, output))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("output must be [2, 3], found [1, 3]");
        assertThatThrownBy(() -> new FeedForward(linear, linear, linear, Activation.SILU))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("down must be f32[4, 3], found f32[3, 4]");
      }
    }
  }

  @Test
  void refusesUseAfterClose() {
    try (Tensor input = backend.f32(2, 4);
        Tensor output = backend.f32(2, 3)) {
      Tensor weight = backend.f32(3, 4);
      Linear linear = new Linear(weight, null);
      FeedForward block =
          new FeedForward(linear, linear, new Linear(backend.f32(4, 3), null), Activation.SILU);
      block.close();
      block.close();
      assertThatThrownBy(() -> block.run(backend, input, input))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("feed-forward block is closed");
      weight.close();
      assertThatThrownBy(() -> linear.run(backend, input, output))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("weight is closed");
      linear.close();
      linear.close();
    }
  }

  private static double dot(Tensor input, int row, Tensor weight, int column, int size) {
    double sum = 0;
    for (int k = 0; k < size; k++)
      sum +=
          (double) input.getFloat((long) row * size + k)
              * weight.getFloat((long) column * size + k);
    return sum;
  }

  private Tensor integers(DType type, long... shape) {
    Tensor tensor = backend.allocate(type, shape);
    float[] values = new float[Math.toIntExact(tensor.size())];
    for (int i = 0; i < values.length; i++) values[i] = random.nextInt(9) - 4;
    return tensor.copyFrom(values);
  }
}
