package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.winnow.DType;
import org.winnow.WeightFormat;
import org.winnow.op.GroupedGemm;

/** Products that do not need each other. */
class GroupedGemmIndependentProductsTest {
  /** A router's logits, shared experts and their gate: different types, shapes, forms. */
  @Test
  void ofFewRowsShareALaunchAndKeepTheirBits() {
    try (CudaBackend backend = new CudaBackend();
        GroupedGemmLayer router =
            new GroupedGemmLayer(backend, DType.BF16, WeightFormat.F32, false, 1024, 40, 1);
        GroupedGemmLayer shared =
            new GroupedGemmLayer(backend, DType.BF16, WeightFormat.BF16, true, 1024, 24, 1);
        GroupedGemmLayer gate =
            new GroupedGemmLayer(backend, DType.BF16, WeightFormat.F16, false, 1024, 1, 1);
        GroupedGemmLayer routed =
            new GroupedGemmLayer(backend, DType.F32, WeightFormat.BF16, false, 48, 24, 1, 0, 1)) {
      GroupedGemmLayer[] layers = {router, shared, gate, routed};
      float[][] alone = new float[layers.length][];
      for (int i = 0; i < layers.length; i++) {
        alone[i] = layers[i].multiply();
        layers[i].output.fill(Float.NaN);
      }
      router.output.toFloatArray(); // waits
      if (GpuSim.isLoaded()) GpuReport.take();
      GroupedGemm.runTogether(
          backend, router.product(), shared.product(), gate.product(), routed.product());
      for (int i = 0; i < layers.length; i++)
        assertThat(layers[i].output.toFloatArray()).isEqualTo(alone[i]);
      if (GpuSim.isLoaded()) assertThat(GpuReport.take().launches()).hasSize(2); // three and one
    }
  }
}
