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

  /** Writes a tree whose build prints that and fails. */
  private Run failing(String output) throws Exception {
    writeTree("cat <<'END'\n" + output + "END\nexit 1\n");
    return run(tree, "doctor");
  }

  /** CMake explains an error in the indented lines that follow it. */
  @Test
  void cmakesErrorsAreShownWithTheirExplanation() throws Exception {
    Run run =
        failing(
            """
            -- Detecting CXX compiler ABI info
            CMake Error at CMakeLists.txt:27 (find_package):
              By not providing "FindThreads.cmake" in CMAKE_MODULE_PATH this project has

              asked CMake to find a package configuration file.
            Call Stack (most recent call first):
            -- Configuring incomplete, errors occurred!
            [ERROR] Command execution failed.
            org.apache.commons.exec.ExecuteException: Process exited with an error: 1 (Exit value: 1)
                at org.apache.commons.exec.DefaultExecutor.executeInternal(DefaultExecutor.java:404)
            [ERROR] Failed to execute goal exec (cmake-configure) on project winnow-core -> [Help 1]
            """);
    assertThat(run.printed().lines().skip(1))
        .startsWith(
            "CMake Error at CMakeLists.txt:27 (find_package):",
            "  By not providing \"FindThreads.cmake\" in CMAKE_MODULE_PATH this project has",
            "  asked CMake to find a package configuration file.")
        .noneMatch(line -> line.contains("Detecting") || line.contains("DefaultExecutor"))
        .anyMatch(line -> line.contains("(cmake-configure)"));
  }

  @Test
  void aBuildWithoutANetworkSaysSo() throws Exception {
    Run run =
        failing(
            """
            [ERROR] Plugin org.bytedeco:javacpp:1.5.13 or one of its dependencies could not be resolved:
            [ERROR] \tThe following artifacts could not be resolved: org.bytedeco:javacpp:jar:1.5.13 (absent): \
            Could not transfer artifact from/to central (https://repo.maven.apache.org/maven2): \
            repo.maven.apache.org: Temporary failure in name resolution -> [Help 1]
            """);
    assertThat(run.printed())
        .contains(
            "Temporary failure in name resolution",
            "winnow: Maven could not download what the build needs");
  }

  @Test
  void aFullDiskIsNamed() throws Exception {
    Run run =
        failing(
            """
            /usr/bin/ar: libwinnow.a: No space left on device
            make[2]: *** [CMakeFiles/winnow.dir/build.make:97: libwinnow.a] Error 1
            [ERROR] Failed to execute goal exec (cmake-build) on project winnow-core -> [Help 1]
            """);
    assertThat(run.printed())
        .contains(
            "/usr/bin/ar: libwinnow.a: No space left on device\n",
            "winnow: no space is left where " + tree + " lies")
        .doesNotContain("could not download");
  }

  /** What javac, the linker, make and the kernel say holds no word "error". */
  @Test
  void causesWithoutTheWordErrorAreShown() throws Exception {
    Run run =
        failing(
            """
            nvcc fatal   : Unsupported gpu architecture 'compute_80'
            Tensor.java:12: error: cannot find symbol
              symbol:   class Shapes
              location: class Tensor
            rope.cpp:(.text+0x1a): undefined reference to `rope'
            make[2]: *** No rule to make target 'add.h', needed by 'add.o'.  Stop.
            /bin/sh: 1: ccache: command not found
            """);
    assertThat(run.printed().lines().skip(1).limit(7))
        .containsExactly(
            "nvcc fatal   : Unsupported gpu architecture 'compute_80'",
            "Tensor.java:12: error: cannot find symbol",
            "  symbol:   class Shapes",
            "  location: class Tensor",
            "rope.cpp:(.text+0x1a): undefined reference to `rope'",
            "make[2]: *** No rule to make target 'add.h', needed by 'add.o'.  Stop.",
            "/bin/sh: 1: ccache: command not found");
  }

  private static final Path CONFIGURE = ROOT.resolve("cmake/configure");

  private Run configure(Path project, String... options) throws Exception {
    List<String> command = new ArrayList<>(List.of(CONFIGURE.toString(), "-S"));
    command.addAll(List.of(project.toString(), "-B", project.resolve("target/build").toString()));
    command.addAll(List.of(options));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    return new Run(process.waitFor(), printed);
  }

  private Path cmakeProject(String name) throws IOException {
    Path project = Files.createDirectories(tree.resolve(name));
    Files.writeString(
        project.resolve("CMakeLists.txt"),
        "cmake_minimum_required(VERSION 3.20)\nproject(moved LANGUAGES NONE)\n");
    return project;
  }

  @Test
  void aBuildDirectoryIsKeptWhereItWasMade() throws Exception {
    Path project = cmakeProject("one");
    assertThat(configure(project).exitCode()).isZero();
    Path built = Files.createFile(project.resolve("target/build/built"));
    assertThat(configure(project).exitCode()).isZero();
    assertThat(built).exists();
  }

  @Test
  void aBuildDirectoryThatMovedWithItsCheckoutIsMadeAnew() throws Exception {
    Path project = cmakeProject("with a space");
    assertThat(configure(project).exitCode()).isZero();
    Files.createFile(project.resolve("target/build/built"));
    Path moved = Files.move(project, tree.resolve("elsewhere"));
    Run run = configure(moved);
    assertThat(run.exitCode()).as(run.printed()).isZero();
    assertThat(moved.resolve("target/build/built")).doesNotExist();
    assertThat(moved.resolve("target/build/CMakeCache.txt")).exists();
  }

  @Test
  void aBuildDirectoryOfAToolThatIsGoneIsMadeAnew() throws Exception {
    Path project = cmakeProject("two");
    String tool = tree.resolve("nvcc").toString();
    assertThat(configure(project, "-DWINNOW_NVCC:FILEPATH=" + tool).exitCode()).isZero();
    Path built = Files.createFile(project.resolve("target/build/built"));
    assertThat(configure(project).exitCode()).isZero();
    assertThat(built).doesNotExist();
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
  void aBundleIsRefusedWhereItCannotBeWritten() throws Exception {
    Run noArchive = run(ROOT, "gpu-check", "--bundle", "check.zip");
    assertThat(noArchive.exitCode()).as(noArchive.printed()).isEqualTo(ExitCode.USAGE);
    assertThat(noArchive.printed())
        .isEqualTo("gpu-check: --bundle must be a file .tar.gz, found check.zip\n");
    String nowhere = tree.resolve("none/check.tar.gz").toString();
    Run noFolder = run(ROOT, "gpu-check", "--bundle", nowhere);
    assertThat(noFolder.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(noFolder.printed()).startsWith("gpu-check: the folder of " + nowhere);
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

  /** Java would take the descriptors of closed streams for files of its own. */
  @Test
  void whatTheCallerHasClosedIsOpened() throws Exception {
    Files.copy(ROOT.resolve("winnow"), tree.resolve("winnow"));
    Files.createDirectories(tree.resolve("java/cli/target/lib"));
    Files.createDirectories(tree.resolve("build"));
    Files.createFile(tree.resolve("build/cli.stamp"));
    Path bin = Files.createDirectories(tree.resolve("jdk/bin"));
    String java =
        """
        #!/bin/sh
        [ "$2" != -version ] || { echo 'openjdk version "17.0.1"' >&2; exit; }
        streams=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)
        echo "$streams" >%s
        """
            .formatted(tree.resolve("streams"));
    for (String tool : List.of("java", "javac")) {
      Path file = Files.writeString(bin.resolve(tool), java);
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
    ProcessBuilder builder =
        new ProcessBuilder("bash", "-c", tree.resolve("winnow") + " doctor <&- >&- 2>&-");
    builder.environment().put("JAVA_HOME", tree.resolve("jdk").toString());

    assertThat(builder.start().waitFor()).isZero();
    assertThat(tree.resolve("streams")).hasContent("/dev/null\n/dev/full\n/dev/null\n");
  }
}
