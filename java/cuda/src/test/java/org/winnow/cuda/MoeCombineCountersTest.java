package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.op.ExpertPlan;
import org.winnow.op.MoeCombine;
import org.winnow.op.Routing;

/** What the combination reads and writes, as counted by the stand-in. */
@OnStandInOnly
class MoeCombineCountersTest {
  private static final int HIDDEN_SIZE = 624; // columns of two blocks, the second in part

  @ParameterizedTest
  @CsvSource({"F32, moe_combine_f32", "BF16, moe_combine_bf16"})
  void rowsAreReadOnceAndWrittenOnceInWholeSectors(DType outputType, String kernel) {
    int[] offsets = {0, 2, 2, 5}; // choices of three tokens
    int[] experts = {1, 0, 3, 0, 1};
    try (var backend = new CudaBackend();
        Routing routing = new Routing(backend.memory());
        ExpertPlan plan = new ExpertPlan(backend.memory());
        Tensor rows = backend.f32(5, HIDDEN_SIZE);
        Tensor shared = backend.f32(3, HIDDEN_SIZE);
        Tensor gates = backend.f32(3, 1);
        Tensor output = backend.allocate(outputType, 3, HIDDEN_SIZE)) {
      routing.set(offsets, experts, new float[] {0.5f, 0.5f, 0.2f, 0.3f, 0.5f});
      plan.build(backend, routing, 4);
      output.toFloatArray(); // waits
      GpuReport.take();
      MoeCombine.run(backend, rows, routing, plan, shared, gates, output);
      output.toFloatArray();
      assertThat(GpuReport.take().launches())
          .singleElement()
          .satisfies(
              launch -> {
                assertThat(launch.kernel()).isEqualTo(kernel);
                assertThat(launch.counter("atomics")).isZero();
                assertWholeSectors(launch, rows, "load");
                assertWholeSectors(launch, shared, "load");
                assertWholeSectors(launch, output, "store");
              });
    }
  }

  private static void assertWholeSectors(GpuReport.Launch launch, Tensor tensor, String what) {
    long sizeBytes = tensor.size() * tensor.dtype().sizeBytes();
    assertThat(launch.traffic(Internals.address(tensor)))
        .containsEntry(what + "_bytes", sizeBytes)
        .containsEntry("distinct_" + what + "_bytes", sizeBytes)
        .containsEntry(what + "_sectors", sizeBytes / 32);
  }
}
