package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which of the images in the jar a device is given; nothing is loaded. */
@WithoutDevice
class KernelModuleTest {
  /** Compute capability; the architectures of its cubins, none where only the PTX is left. */
  @ParameterizedTest
  @CsvSource({
    "8, 0, 80",
    "8, 6, 86 80",
    "8, 7, 86 80",
    "8, 9, 89 86 80",
    "9, 0, 90",
    "10, 3, 100",
    "11, 0, ''",
    "12, 0, 120",
    "12, 1, 120"
  })
  void aCubinOfTheDeviceComesFirstThenThoseOfOlderMinorVersions(
      int major, int minor, String architectures) {
    assumeTrue(KernelModule.absenceCause() == null, KernelModule::absenceCause);
    assertThat(KernelModule.cubins("add", major, minor))
        .containsExactly(
            Arrays.stream(architectures.split(" "))
                .filter(architecture -> !architecture.isEmpty())
                .map(architecture -> "add_cuda.sm_" + architecture + ".cubin")
                .toArray(String[]::new));
  }
}
