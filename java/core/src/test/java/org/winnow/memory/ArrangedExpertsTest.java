package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.cpu.CpuBackend;
import org.winnow.internal.AddressTable;
import org.winnow.op.ExpertMatrices;

/** Matrices that are arranged while they are read: small ones at once, large ones in pieces. */
class ArrangedExpertsTest {
  private static final int NUM_EXPERTS = 2;

  @TempDir static Path folder;
  private static SyntheticExperts small; // an expert is read at once
  private static SyntheticExperts large; // no piece holds a matrix
  private static final Backend BACKEND = new CpuBackend();

  @BeforeAll
  static void write() throws IOException {
    assertThat(BACKEND.weightLayout(WeightFormat.BF16)).isEqualTo(WeightLayout.PANELS);
    small = experts("small", 72, 100);
    large = experts("large", 1010, 1100);
  }

  @AfterAll
  static void close() {
    BACKEND.close();
  }

  private static SyntheticExperts experts(String name, int hiddenSize, int intermediateSize)
      throws IOException {
    return new SyntheticExperts(
        folder.resolve(name),
        SyntheticExperts.Layout.SEPARATE,
        DType.BF16,
        1,
        NUM_EXPERTS,
        hiddenSize,
        intermediateSize,
        10_004);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void liesAsIfArrangedAfterwards(boolean direct) {
    for (SyntheticExperts experts : new SyntheticExperts[] {small, large}) {
      try (Checkpoint checkpoint =
          new Checkpoint(
              experts.tensors(), direct ? RangeReader.direct() : RangeReader.buffered())) {
        ExpertStore store = experts.store(checkpoint, BACKEND);
        try (ExpertCache cache =
            new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lru())) {
          cache.layer(0).acquire(new int[] {0, 1}, NUM_EXPERTS);
          for (int expert = 0; expert < NUM_EXPERTS; expert++) {
            ExpertMatrices gateUp = cache.layer(0).gateUp();
            assertArranged(experts, gateUp, 0, expert, ExpertRole.GATE);
            assertArranged(experts, gateUp, 1, expert, ExpertRole.UP);
            assertArranged(experts, cache.layer(0).down(), 0, expert, ExpertRole.DOWN);
          }
          cache.layer(0).release();
          assertThat(cache.counters().demandBytesRead())
              .isEqualTo(store.readBytes(0, 0) + store.readBytes(0, 1));
        }
        if (experts == large) assertThat(store.stagingBytes()).isLessThan(2 << 20);
      }
    }
  }

  private static void assertArranged(
      SyntheticExperts experts, ExpertMatrices matrices, int entry, int expert, ExpertRole role) {
    int rows = (int) matrices.outputSize();
    int columns = (int) matrices.inputSize();
    try (Tensor expected = Tensor.allocate(DType.BF16, rows, columns);
        Tensor found =
            Tensor.wrap(AddressTable.of(matrices).get(expert, entry), DType.BF16, rows, columns)) {
      float[] values = new float[rows * columns];
      for (int i = 0; i < values.length; i++)
        values[i] = experts.expected(0, expert, role, i / columns, i % columns);
      expected.copyFrom(values);
      WeightLayout.PANELS.arrange(expected);
      assertThat(found.toFloatArray()).isEqualTo(expected.toFloatArray());
    }
  }

  @Test
  void namesTheMatrixThatCannotBeRead() {
    for (SyntheticExperts experts : new SyntheticExperts[] {small, large}) {
      for (String tensor : new String[] {"down", "gate", "up"}) {
        FaultyReaders readers = new FaultyReaders();
        try (Checkpoint checkpoint = new Checkpoint(experts.tensors(), readers)) {
          TensorInfo info = checkpoint.require("layers.0.1." + tensor);
          long end = info.offset() + info.sizeBytes();
          readers.poison(end - 2, end);
          ExpertStore store = experts.store(checkpoint, BACKEND);
          try (ExpertCache cache =
              new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lru())) {
            assertThatThrownBy(() -> cache.layer(0).acquire(new int[] {0, 1}, NUM_EXPERTS))
                .isInstanceOfSatisfying(
                    ExpertReadException.class,
                    e -> assertThat(e.what()).isEqualTo("layer 0, expert 1: " + info.name()));
            assertThat(cache.numPinned()).isZero();
            cache.layer(0).acquire(new int[] {0}, 1);
            cache.layer(0).release();
          }
        }
      }
    }
  }
}
