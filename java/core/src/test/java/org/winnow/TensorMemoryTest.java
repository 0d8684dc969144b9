package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.internal.Internals;

/** Tensors that do not lie in the host's memory. */
class TensorMemoryTest {
  private final TensorMemory memory = AnotherMemory.create();

  @Test
  void elementsOfEveryTypePassThroughTheHost() {
    try (Tensor floats = Tensor.allocate(memory, DType.F32, 2, 3);
        Tensor halves = Tensor.allocate(memory, DType.BF16, 3);
        Tensor ints = Tensor.allocate(memory, DType.I32, 3);
        Tensor longs = Tensor.allocate(memory, DType.I64, 2)) {
      assertThat(floats.memory()).isSameAs(memory);
      assertThat(floats.toFloatArray()).containsOnly(0).hasSize(6);
      floats.setFloat(4, 2.5f);
      assertThat(floats.slice(1, 2).getFloat(1)).isEqualTo(2.5f);
      assertThat(floats.reshape(6).memory()).isSameAs(memory);
      floats.slice(0, 1).fill(7);
      assertThat(floats.toFloatArray()).containsExactly(7, 7, 7, 0, 2.5f, 0);
      halves.copyFrom(new float[] {1, 2, 3.001f});
      assertThat(halves.toFloatArray()).containsExactly(1, 2, 3);
      ints.copyFrom(new int[] {1, -2, 3});
      ints.setInt(0, 9);
      assertThat(ints.toIntArray()).containsExactly(9, -2, 3);
      longs.setLong(1, Long.MIN_VALUE);
      assertThat(longs.getLong(1)).isEqualTo(Long.MIN_VALUE);
      assertThat(longs.getLong(0)).isZero();
    }
  }

  @Test
  void copiesBetweenAllMemories() {
    float[] values = {1, 2, 3};
    try (Tensor host = Tensor.of(values, 3);
        Tensor there = Tensor.allocate(memory, DType.F32, 3);
        Tensor alsoThere = Tensor.allocate(memory, DType.F32, 3);
        Tensor elsewhere = Tensor.allocate(AnotherMemory.create(), DType.F32, 3);
        Tensor back = Tensor.f32(3)) {
      there.copyFrom(host);
      alsoThere.copyFrom(there);
      elsewhere.copyFrom(alsoThere);
      assertThat(back.copyFrom(elsewhere).toFloatArray()).isEqualTo(values);
    }
  }

  @Test
  void givesNoBufferAndNoAddressOfTheHosts() {
    Tensor there = Tensor.allocate(memory, DType.F32, 3);
    assertThatThrownBy(there::asByteBuffer)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("tensor must lie in host memory for a buffer, found elsewhere's memory");
    assertThatThrownBy(() -> there.requireIn("input", TensorMemory.host()))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("input must lie in host memory, found elsewhere's memory");
    there.close();
    there.close();
    assertThatThrownBy(() -> there.getFloat(0))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("tensor is closed");
  }

  @Test
  void sharesNoByteWithATensorOfAnotherMemory() {
    try (Tensor host = Tensor.f32(4);
        Tensor there = Tensor.wrap(memory, Internals.address(host), DType.F32, 4)) {
      there.requireDisjoint("output", "input", host);
      assertThatThrownBy(() -> host.requireDisjoint("output", "input", host))
          .hasMessage("output must not overlap input");
    }
  }
}
