package org.winnow.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each of {@link EndedPrograms}, in a JVM of its own. */
class EndedProgramsTest {
  @ParameterizedTest
  @ValueSource(
      strings = {
        "addendOfOneElement",
        "closedWeightOfExperts",
        "closedLatentUp",
        "closedActiveExperts",
        "closedExpertIds",
        "probeOfAnotherMemory",
        "indicesThatChange",
        "outputOverIndices",
        "offsetsThatDoNotAscend"
      })
  void getsAnException(String program, @TempDir Path folder) throws Exception {
    Path output = folder.resolve("output");
    List<String> command =
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:-CreateCoredumpOnCrash",
            "-XX:ErrorFile=" + folder.resolve("hs_err"),
            "-cp",
            FuzzCampaign.classPath(),
            EndedPrograms.class.getName(),
            program);
    Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    boolean ends = process.waitFor(60, TimeUnit.SECONDS);
    if (!ends) process.destroyForcibly().waitFor();
    assertThat(ends).as("ends").isTrue();

    assertThat(process.exitValue()).as(Files.readString(output)).isZero();
  }
}
