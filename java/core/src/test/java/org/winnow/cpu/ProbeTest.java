package org.winnow.cpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.winnow.DType;
import org.winnow.Tensor;

class ProbeTest {
  /** Bounds that hold on every machine and that a wrong unit or an eliminated loop violates. */
  @Test
  void measuresWhatMachinesDo() {
    for (InstructionSet set : InstructionSet.values()) {
      if (!set.isSupported()) continue;
      for (int threads = 1; threads <= 2; threads++) {
        try (CpuBackend backend = new CpuBackend(set, threads);
            Tensor memory = Tensor.allocate(DType.F32, 4 << 20)) {
          memory.fill(1);
          assertThat(Probe.readBytesPerSecond(backend, memory)).isBetween(1e7, 1e13);
          assertThat(Probe.f32OperationsPerSecond(backend)).isBetween(1e7, 1e13);
          assertThat(Probe.bf16OperationsPerSecond(backend)).isBetween(1e7, 1e13);
        }
      }
    }
  }

  @Test
  void refusesWhatIsClosedOrEmpty() {
    CpuBackend backend = new CpuBackend(InstructionSet.PORTABLE, 1);
    Tensor memory = Tensor.f32(8);
    try (Tensor empty = Tensor.f32(0)) {
      assertThatThrownBy(() -> Probe.readBytesPerSecond(backend, empty))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("memory must not be empty");
    }
    memory.close();
    assertThatThrownBy(() -> Probe.readBytesPerSecond(backend, memory))
        .isInstanceOf(IllegalStateException.class);
    backend.close();
    assertThatThrownBy(() -> Probe.f32OperationsPerSecond(backend))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("backend cpu is closed");
    assertThatThrownBy(() -> Probe.bf16OperationsPerSecond(backend))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("backend cpu is closed");
  }
}
