package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cuda.GpuReport.Launch;
import org.winnow.internal.Internals;
import org.winnow.op.Activation;
import org.winnow.op.ActiveColumns;
import org.winnow.op.NeuronMatrices;
import org.winnow.op.SparseFfn;
import org.winnow.op.ThresholdedLinear;

/** Which weights blocks with skipped columns read, as counted by the stand-in. */
@OnStandInOnly
class SparseFfnCountersTest {
  private static final int HIDDEN_SIZE = 320; // tiles of a warp, the last in part
  private static final int NUM_COLUMNS = 50;

  @ParameterizedTest
  @CsvSource({"F32, false", "BF16, true", "F16, false"})
  void recordsOfActiveColumnsAndNoOtherByteAreRead(DType type, boolean gated) {
    int rows = gated ? 3 : 2;
    int[][] lists = {{0, 7, 49}, {}, {7, 8}}; // four columns, five pairs
    try (var backend = new CudaBackend();
        Tensor input = backend.f32(3, HIDDEN_SIZE).fill(1);
        Tensor records = backend.allocate(type, NUM_COLUMNS, rows, HIDDEN_SIZE).fill(1);
        NeuronMatrices neurons = new NeuronMatrices(records);
        ActiveColumns columns = new ActiveColumns(backend.memory());
        Tensor hidden = backend.f32(3, 3);
        Tensor output = backend.f32(3, HIDDEN_SIZE)) {
      columns.set(NUM_COLUMNS, lists);
      output.toFloatArray(); // waits
      GpuReport.take();
      SparseFfn.run(backend, input, neurons, Activation.RELU, columns, hidden, output);
      output.toFloatArray();
      List<Launch> launches = GpuReport.take().launches();
      assertThat(launches).hasSize(2);
      long rowBytes = (long) HIDDEN_SIZE * type.sizeBytes();
      assertRows(launches.get(0), records, 4 * (rows - 1) * rowBytes, 5 * (rows - 1) * rowBytes);
      assertRows(launches.get(1), records, 4 * rowBytes, 5 * rowBytes);
    }
  }

  @ParameterizedTest
  @CsvSource({"F32", "BF16", "F16"})
  void rowsOfSmallInputsAreNotRead(DType type) {
    float[] x = {1, 0, 0.25f, -1, 0, 0, 0, 2};
    try (var backend = new CudaBackend();
        Tensor input = backend.of(x, 2, 4);
        Tensor weight = backend.allocate(type, 4, HIDDEN_SIZE).fill(1);
        Tensor output = backend.f32(2, HIDDEN_SIZE)) {
      output.toFloatArray(); // waits
      GpuReport.take();
      ThresholdedLinear.run(backend, input, weight, null, 0.25f, output);
      output.toFloatArray();
      long rowBytes = (long) HIDDEN_SIZE * type.sizeBytes();
      assertThat(GpuReport.take().launches())
          .singleElement()
          .satisfies(launch -> assertRows(launch, weight, 2 * rowBytes, 3 * rowBytes));
    }
  }

  private static void assertRows(Launch launch, Tensor weights, long distinct, long requested) {
    assertThat(launch.counter("atomics")).isZero();
    assertThat(launch.traffic(Internals.address(weights)))
        .containsEntry("distinct_load_bytes", distinct)
        .containsEntry("load_bytes", requested)
        .containsEntry("load_sectors", requested / 32);
  }
}
