package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Which of the images in the jar a device is given; nothing is loaded. */
@WithoutDevice
class KernelModuleTest {
  /** Of the list that kernels are assembled for; a device's major and minor version. */
  @ParameterizedTest
  @CsvSource({"8, 0", "8, 6", "8, 7", "8, 9", "9, 0", "10, 3", "11, 0", "12, 0", "12, 1"})
  void aCubinOfTheDeviceComesFirstThenThoseOfOlderMinorVersions(int major, int minor)
      throws IOException {
    assumeTrue(KernelModule.absenceCause() == null, KernelModule::absenceCause);
    List<String> expected =
        Files.readAllLines(Path.of("../../native/cuda/architectures.txt")).stream()
            .filter(line -> !line.startsWith("#"))
            .map(Integer::valueOf)
            .filter(architecture -> architecture / 10 == major && architecture % 10 <= minor)
            .sorted(Comparator.reverseOrder())
            .map(architecture -> "add_cuda.sm_" + architecture + ".cubin")
            .toList();
    assertThat(KernelModule.cubins("add", major, minor)).isEqualTo(expected);
  }
}
