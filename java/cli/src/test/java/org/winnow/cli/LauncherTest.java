package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher's messages before the command is built. */
class LauncherTest {
  private static final Path ROOT = Path.of("../..").toAbsolutePath().normalize();

  @TempDir Path tree;

  private record Run(int exitCode, String printed) {}

  private Run run(Path root, String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(root.resolve("winnow").toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().merge("PATH", tree.toString(), (path, tools) -> tools + ":" + path);
    Process process = builder.start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Run(process.waitFor(), printed);
  }

  /** Writes a source tree whose build runs these lines of a shell script. */
  private void writeTree(String maven) throws IOException {
    Files.copy(ROOT.resolve("winnow"), tree.resolve("winnow"));
    Files.createDirectories(tree.resolve("java/cli"));
    for (String tool : List.of("mvn", "cmake", "g++", "make")) {
      Path file = Files.writeString(tree.resolve(tool), "#!/bin/sh\n" + maven);
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
  }

  @Test
  void aFailedBuildSaysWhyAndWhereItsLogIs() throws Exception {
    writeTree(
        """
        cat <<'END'
        [ 12%] Building CXX object error.cpp.o
        rope_cpu.cpp:7:3: error: expected ';' before '}' token
        ptxas: limits.txt refuses rope_f32: 70 registers
        	at org.apache.maven.Error.where(Error.java:1)
        [ERROR] Failed to execute goal exec (build) on project winnow-core: exit value 2 -> [Help 1]
        [ERROR]
        [ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.
        [ERROR] Re-run Maven using the -X switch to enable full debug logging.
        [ERROR] For more information about the errors and possible solutions, please read:
        [ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoFailureException
        [ERROR] After correcting the problems, you can resume the build with the command
        [ERROR]   mvn <args> -rf :winnow-core
        END
        exit 1
        """);
    Run run = run(tree, "doctor");
    assertThat(run.printed().lines())
        .containsExactly(
            "winnow: building java/cli (the first time takes some minutes) ...",
            "rope_cpu.cpp:7:3: error: expected ';' before '}' token",
            "ptxas: limits.txt refuses rope_f32: 70 registers",
            "[ERROR] Failed to execute goal exec (build) on project winnow-core: exit value 2 -> [Help 1]",
            "winnow: the build failed; all of its output is in " + tree.resolve("build/cli.log"));
    assertThat(run.exitCode()).isEqualTo(70);
  }

  @Test
  void aFailureThatSaysNothingShowsTheEndOfTheLog() throws Exception {
    writeTree("echo first; echo last; exit 1");
    assertThat(run(tree, "doctor").printed()).contains("\nfirst\nlast\nwinnow: the build failed");
  }

  @Test
  void aBuildWithoutNvccIsSaidToBeOne() throws Exception {
    writeTree("echo '-- CUDA kernels skipped: no nvcc'");
    assertThat(run(tree, "doctor").printed())
        .contains("winnow: built without CUDA kernels: no nvcc\n");
  }

  @Test
  void anInterruptedBuildHasNotFailed() throws Exception {
    writeTree("exit 130"); // as Java does after Ctrl-C
    Run run = run(tree, "doctor");
    assertThat(run.printed())
        .contains("winnow: the build was interrupted")
        .doesNotContain("failed");
    assertThat(run.exitCode()).isEqualTo(ExitCode.CANCELLED);
  }

  @Test
  void helpOfItsOwnCommandsStartsNothing() throws Exception {
    Run check = run(ROOT, "gpu-check", "--help");
    assertThat(check.exitCode()).isZero();
    assertThat(check.printed()).contains("Usage: winnow gpu-check", "Exit codes:", "nvcc");
    Run test = run(ROOT, "test", "--help");
    assertThat(test.exitCode()).isZero();
    assertThat(test.printed())
        .startsWith("Usage: winnow test [STAGE...]\n")
        .containsPattern("(?m)^  java +All Java modules: compile, test, package\\.$")
        .containsPattern("(?m)^  sanitizers +[A-Z]")
        .containsPattern("(?m)^  java_once +[A-Z]")
        .doesNotContain("JDK:");
  }
}
