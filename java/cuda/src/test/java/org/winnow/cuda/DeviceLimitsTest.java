package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.winnow.workload.Limits;

/** The probes do what they are counted for. */
class DeviceLimitsTest {
  @Test
  void theKernelsComputeEveryProduct() {
    try (var backend = new CudaBackend();
        var limits = new DeviceLimits(backend)) {
      limits.runBf16(3);
      assertThat(limits.results()).containsOnly(3 * 512f);
      limits.runF32(5);
      assertThat(limits.results()).containsOnly(5 * 16f);
    }
  }

  @Test
  void theCountOfMatrixInstructionsIsTheDevices() {
    org.junit.jupiter.api.Assumptions.assumeTrue(GpuSim.isLoaded(), GpuSim::cause);
    try (var backend = new CudaBackend();
        var limits = new DeviceLimits(backend)) {
      limits.results();
      GpuReport.take();
      limits.runBf16(3);
      limits.results();
      assertThat(GpuReport.take().total("probe_bf16", "mma")).isEqualTo(3L * 8 * limits.numWarps());
    }
  }

  @Test
  void everyLimitIsMeasured() {
    try (var backend = new CudaBackend();
        var limits = new DeviceLimits(backend)) {
      Limits measured = limits.measure();
      assertThat(measured.readBytesPerSecond()).isPositive().isFinite();
      assertThat(measured.f32OperationsPerSecond()).isPositive().isFinite();
      assertThat(measured.bf16OperationsPerSecond()).isPositive().isFinite();
    }
  }
}
