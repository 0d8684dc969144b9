package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class MainTest {
  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  @TempDir Path directory;

  private int run(String... args) {
    return Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err)).execute(args);
  }

  @Test
  void doctorNamesWhatItFinds() {
    assertThat(run("doctor", directory.toString())).isZero();
    assertThat(out.toString()).contains("linux-x86_64", "libjniwinnow.so, ABI ", "portable", "in " + directory);
    assertThat(directory).isEmptyDirectory();
    assertThat(err.toString()).isEmpty();
  }

  @Test
  void wrongUsageIsExitCodeTwo() {
    assertThat(run("doctor", "--no-such-option")).isEqualTo(CommandLine.ExitCode.USAGE);
    assertThat(err.toString()).contains("--no-such-option");
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void helpNamesTheExitCodes() {
    assertThat(run("--help")).isZero();
    assertThat(out.toString()).contains("Exit codes:", "doctor");
  }
}
