package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.DType;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.MoeLayerProblem;

/** How many kernels a MoE layer takes to decode, as counted by the stand-in. */
@OnStandInOnly
class MoeLayerLaunchesTest {
  private final CudaBackend backend = new CudaBackend();

  @AfterEach
  void close() {
    backend.close();
  }

  private MoeLayerProblem problem(int numTokens) {
    return new MoeLayerProblem(
        backend, new Random(1), numTokens, 16, 4, 64, 48, DType.BF16, DType.BF16);
  }

  private static MoeLayer layer(MoeLayerProblem p, int sharedExperts) {
    MoeLayer.Builder builder = p.layer(p.experts);
    if (sharedExperts > 0) builder.shared(p.shared);
    if (sharedExperts > 1) builder.sharedGate(p.sharedGate);
    return builder.build();
  }

  /** Shared experts: 0 none, 1 in full, 2 with a gate. */
  @ParameterizedTest
  @CsvSource({"1, 0", "1, 1", "1, 2", "3, 2"})
  void decodingTakesFiveLaunches(int numTokens, int sharedExperts) {
    try (MoeLayerProblem p = problem(numTokens);
        MoeLayer layer = layer(p, sharedExperts)) {
      p.output.fill(Float.NaN);
      GpuReport.take();
      layer.forward(backend, p.hidden, p.output);
      float[] computed = p.output.toFloatArray(); // waits
      assertThat(GpuReport.take().launches().stream().map(GpuReport.Launch::kernel))
          .containsExactly(
              "grouped_gemm_gemv", // router, shared gate and up, gate of the shared experts
              "top_k_router_plan",
              "grouped_gemm_gemv", // gate and up of the chosen experts, shared down
              "grouped_gemm_gemv", // down
              "moe_combine_bf16");
      assertThat(computed).doesNotContain(Float.NaN);
    }
  }
}
