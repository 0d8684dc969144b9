package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.cpu.InstructionSet;

class MainTest {
  @TempDir Path directory;

  @Test
  void doctorNamesWhatItFinds() throws IOException {
    CapturedRun run = CapturedRun.of("doctor", directory);
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains(
            "linux-x86_64",
            "libjniwinnow.so, ABI ",
            "portable",
            "backends",
            "cuda",
            "in " + directory.toRealPath(),
            "GPU");
    assertThat(directory).isEmptyDirectory();
    assertThat(run.err()).isEmpty();
  }

  @Test
  void doctorSaysWhatMultipliesSixteenBits() throws IOException {
    assertThat(DoctorCommand.products(InstructionSet.AVX512_BF16))
        .startsWith("bf16 with vdpbf16ps");
    assertThat(DoctorCommand.products(InstructionSet.AMX_BF16)).contains("AMX");
    assertThat(DoctorCommand.products(InstructionSet.AVX2)).startsWith("widened to f32");
    Map<?, ?> tree = JsonTree.parse(CapturedRun.of("doctor", directory, "--json").out());
    assertThat(tree.get("products_of_16_bits"))
        .isEqualTo(DoctorCommand.products(InstructionSet.best()));
  }

  @Test
  void doctorShowsLimitsAsText() {
    assertThat(CapturedRun.of("doctor", directory).out())
        .contains("glibc ", "heap of at most ", "container  ", " open files, ", "natives cache  ");
  }

  @Test
  void doctorShowsLimitsAsJson() throws IOException {
    String json = CapturedRun.of("doctor", directory, "--json").out();
    Map<?, ?> tree = JsonTree.parse(json);
    assertThat((String) tree.get("natives")).contains("libjniwinnow");
    assertThat(((Map<?, ?>) tree.get("seen_by_java")).get("processors"))
        .isEqualTo((long) Runtime.getRuntime().availableProcessors());
    assertThat((Long) ((Map<?, ?>) tree.get("limits")).get("open_files")).isPositive();
  }

  @Test
  void doctorLooksAtTheFileSystemOfAFile() throws IOException {
    Path file = Files.writeString(directory.resolve("model"), "x");
    CapturedRun run = CapturedRun.of("doctor", file);
    assertThat(run.exitCode()).isZero();
    assertThat(run.out()).contains("in " + directory.toRealPath());
    assertThat(directory).isDirectoryContaining(file::equals);
  }

  @Test
  void aPathThatIsNotThereIsBadInput() {
    CapturedRun run = CapturedRun.of("doctor", directory.resolve("absent"));
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err())
        .isEqualTo("winnow: " + directory.resolve("absent") + ": no such file or directory\n");
    assertThat(run.out()).isEmpty();
  }

  @Test
  void verboseShowsWhere() {
    CapturedRun run = CapturedRun.of("doctor", directory.resolve("absent"), "--verbose");
    assertThat(run.err())
        .contains("no such file or directory", "\tat org.winnow.cli.DoctorCommand.run");
  }

  @Test
  void wrongUsageIsOneLineAndWhereToLook() {
    CapturedRun run = CapturedRun.of("doctor", "--no-such-option");
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err())
        .startsWith("winnow: Unknown option: '--no-such-option'\n")
        .endsWith("Try 'winnow doctor --help'.\n");
    assertThat(run.out()).isEmpty();
  }

  /** One that is named first is read without the others, by a name that stands apart from it. */
  @Test
  void aCommandIsTheSameWithAndWithoutTheOthers() {
    Terminal terminal = Terminal.ofProcess(new Terminal.Output());
    var all = Main.commandLine(terminal).getSubcommands();
    assertThat(all).hasSize(10);
    all.forEach(
        (name, command) -> {
          assertThat(command.getCommandName()).isEqualTo(name);
          var alone = Main.commandLine(terminal, name).getSubcommands().get(name);
          assertThat(alone.getUsageMessage()).isEqualTo(command.getUsageMessage());
        });
    assertThat(Main.commandLine(terminal, "generate", "x").getSubcommands()).hasSize(1);
    assertThat(Main.commandLine(terminal, "--verbose", "generate").getSubcommands()).hasSize(10);
    assertThat(Main.commandLine(terminal, "help", "generate").getSubcommands()).hasSize(10);
  }

  @Test
  void withoutACommandTheHelpIsShownAsWrongUsage() {
    CapturedRun run = CapturedRun.of();
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err()).contains("Missing required subcommand", "Try 'winnow --help'.");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "doctor",
        "inspect",
        "generate",
        "verify",
        "perplexity",
        "bench",
        "demo",
        "completion"
      })
  void helpOfEveryCommandHasAnExampleAndTheExitCodes(String command) {
    CapturedRun run = CapturedRun.of(command, "--help");
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains(
            "Usage: winnow " + command,
            "Example",
            "  winnow " + command + " ",
            "Exit codes:",
            "130 ",
            "--verbose");
    assertThat(run.out().lines())
        .allSatisfy(line -> assertThat(line.length()).isLessThanOrEqualTo(100));
  }

  @Test
  void helpNamesEveryCommand() {
    CapturedRun run = CapturedRun.of("--help");
    assertThat(run.exitCode()).isZero();
    assertThat(run.out())
        .contains(
            "doctor",
            "inspect",
            "generate",
            "verify",
            "perplexity",
            "bench",
            "demo",
            "completion",
            "help",
            "Exit codes:")
        .doesNotContain("demo-worker");
    assertThat(CapturedRun.of("help", "doctor").out())
        .isEqualTo(CapturedRun.of("doctor", "--help").out());
  }

  @Test
  void helpNamesEveryCommandThatTheLauncherAdds() throws IOException {
    List<String> added =
        Pattern.compile("^  ([a-z-]+)\\)", Pattern.MULTILINE)
            .matcher(Files.readString(Path.of("../../winnow")))
            .results()
            .map(command -> command.group(1))
            .toList();
    assertThat(added).contains("test", "format", "jmh");
    String help = CapturedRun.of("--help").out();
    assertThat(added)
        .allSatisfy(command -> assertThat(help).containsPattern("(?m)^  " + command + " "));
  }

  @Test
  void versionIsPrinted() {
    assertThat(CapturedRun.of("--version").out()).startsWith("winnow ");
  }
}
