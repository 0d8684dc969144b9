package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.AddressTable;
import org.winnow.moe.Experts;

/** Compares what the tables of held experts point to with what the file was made of. */
final class ExpertContents {
  private ExpertContents() {}

  static void assertRight(SyntheticExperts experts, Experts layer, int layerIndex, int expert) {
    int d = experts.hiddenSize;
    int f = experts.intermediateSize;
    AddressTable gateUp = AddressTable.of(layer.gateUp());
    AddressTable down = AddressTable.of(layer.down());
    DType dtype = experts.dtype;
    check(experts, gateUp.get(expert, 0), layerIndex, expert, ExpertRole.GATE, f, d, dtype);
    check(experts, gateUp.get(expert, 1), layerIndex, expert, ExpertRole.UP, f, d, dtype);
    check(experts, down.get(expert, 0), layerIndex, expert, ExpertRole.DOWN, d, f, dtype);
    if (experts.layout != SyntheticExperts.Layout.INTERLEAVED) return;
    check(
        experts, gateUp.get(expert, 2), layerIndex, expert, ExpertRole.GATE_BIAS, 1, f, DType.F32);
    check(experts, gateUp.get(expert, 3), layerIndex, expert, ExpertRole.UP_BIAS, 1, f, DType.F32);
    check(experts, down.get(expert, 2), layerIndex, expert, ExpertRole.DOWN_BIAS, 1, d, DType.F32);
  }

  private static void check(
      SyntheticExperts experts,
      long address,
      int layerIndex,
      int expert,
      ExpertRole role,
      int rows,
      int columns,
      DType dtype) {
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
