package org.winnow.cpu;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CpuBackendTest {
  /**
   * A request for a million threads must fail without ending the process: started threads must be
   * joined.
   */
  @ParameterizedTest
  @ValueSource(ints = {Integer.MIN_VALUE, -1, 0, 1025, 1_000_000})
  void refusesNumbersOfThreadsThatNoMachineHas(int numThreads) {
    assertThatThrownBy(() -> new CpuBackend(InstructionSet.PORTABLE, numThreads))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("numThreads must lie in [1, 1024], found " + numThreads);
  }
}
