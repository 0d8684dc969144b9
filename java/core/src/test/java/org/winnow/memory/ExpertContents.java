package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.LongBuffer;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.memory.ExpertLayout.Role;
import org.winnow.moe.Experts;

/** Compares what the tables of held experts point to with what the file was made of. */
final class ExpertContents {
  private ExpertContents() {}

  static void assertRight(SyntheticExperts experts, Experts layer, int layerIndex, int expert) {
    int d = experts.hiddenSize;
    int f = experts.intermediateSize;
    check(
        experts,
        layer,
        layer.gateUp().weightTable(),
        layerIndex,
        expert,
        Role.GATE,
        f,
        d,
        experts.dtype);
    check(
        experts, layer, layer.gateUp().upTable(), layerIndex, expert, Role.UP, f, d, experts.dtype);
    check(
        experts,
        layer,
        layer.down().weightTable(),
        layerIndex,
        expert,
        Role.DOWN,
        d,
        f,
        experts.dtype);
    if (experts.layout != SyntheticExperts.Layout.INTERLEAVED) return;
    check(
        experts,
        layer,
        layer.gateUp().biasTable(),
        layerIndex,
        expert,
        Role.GATE_BIAS,
        1,
        f,
        DType.F32);
    check(
        experts,
        layer,
        layer.gateUp().upBiasTable(),
        layerIndex,
        expert,
        Role.UP_BIAS,
        1,
        f,
        DType.F32);
    check(
        experts,
        layer,
        layer.down().biasTable(),
        layerIndex,
        expert,
        Role.DOWN_BIAS,
        1,
        d,
        DType.F32);
  }

  private static void check(
      SyntheticExperts experts,
      Experts layer,
      long table,
      int layerIndex,
      int expert,
      Role role,
      int rows,
      int columns,
      DType dtype) {
    LongBuffer addresses;
    try (Tensor view = Tensor.wrap(table, DType.U64, layer.numExperts())) {
      addresses = view.asByteBuffer().asLongBuffer();
    }
    long address = addresses.get(expert);
    assertThat(address % dtype.sizeBytes()).isZero();
    try (Tensor matrix = Tensor.wrap(address, dtype, rows, columns)) {
      float[] found = matrix.toFloatArray();
      for (int i = 0; i < found.length; i++) {
        if (found[i] != experts.expected(layerIndex, expert, role, i / columns, i % columns)) {
          assertThat(found[i])
              .as(role + " " + i)
              .isEqualTo(experts.expected(layerIndex, expert, role, i / columns, i % columns));
        }
      }
    }
  }
}
