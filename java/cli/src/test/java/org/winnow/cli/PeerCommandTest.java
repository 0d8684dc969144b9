package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class PeerCommandTest {
  @TempDir Path folder;

  private static List<PeerResult> run(String command, long limitSeconds) throws Exception {
    return new PeerCommand(command, limitSeconds).run();
  }

  @Test
  void itsStandardOutputIsRead() throws Exception {
    String command =
        "echo loading >&2; cat; echo '| threads | test | t/s |'; echo '| 2 | pp8 | 3.5 ± 0.1 |'";
    assertThat(run(command, 30)).containsExactly(new PeerResult("pp8", 2, 3.5));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "echo one >&2 && echo no model >&2 && exit 3 ; exit code 3| its last line: no model",
        "no-such-program-anywhere ; exit code 127",
        "true ; exit code 0, but it printed nothing",
        "echo 12 tokens/s ; no tokens per second in the form of llama-bench| its last line: 12 tokens/s",
        "kill -9 $$ ; exit code 137",
        "echo '| test | t/s |' && echo '| pp8 | nan |' ; cannot be read: no number of tokens per second",
        "cat /dev/zero | head -c 20000000 ; no tokens per second",
      })
  void whatFailsIsSaidInOneLine(String command, String expected) {
    assertThatThrownBy(() -> run(command, 30))
        .isInstanceOf(PeerCommand.Failure.class)
        .hasMessageContaining(expected.replace('|', ';'))
        .hasMessageNotContaining("\n");
  }

  @Test
  void whatHangsIsEndedWithItsChildren() throws Exception {
    Path pids = folder.resolve("pids");
    String command =
        "echo $$ > "
            + pids
            + "; (setsid sleep 300 & echo $! >> "
            + pids
            + "); sleep 300 & echo $! >> "
            + pids
            + "; wait";
    assertThatThrownBy(() -> run(command, 1))
        .isInstanceOf(PeerCommand.Failure.class)
        .hasMessageContaining("did not end within 1 s");
    assertEnded(pids, 3);
  }

  @Test
  void whatCannotBeFoundDoesNotKeepTheBenchmarkWaiting() throws Exception {
    Path pids = folder.resolve("pids");
    String started = "test $(readlink /proc/$!/exe) = $(readlink -f $(command -v sleep))";
    String command =
        "env -i setsid sleep 300 & echo $! > " + pids + "; until " + started + "; do :; done";
    try {
      assertThatThrownBy(() -> run(command, 30))
          .isInstanceOf(PeerCommand.Failure.class)
          .hasMessageContaining("holds its output");
    } finally {
      long pid = Long.parseLong(Files.readString(pids).strip());
      ProcessHandle.of(pid).ifPresent(ProcessHandle::destroyForcibly);
    }
  }

  @Test
  void whatItLeavesRunningIsEnded() throws Exception {
    Path pids = folder.resolve("pids");
    String command =
        "(setsid sleep 300 & echo $! > " + pids + "); echo '| test | t/s |'; echo '| pp8 | 4 |'";
    assertThat(run(command, 30)).containsExactly(new PeerResult("pp8", 0, 4));
    assertEnded(pids, 1);
  }

  private static void assertEnded(Path pids, int number) throws IOException {
    List<String> lines = Files.readAllLines(pids);
    assertThat(lines).hasSize(number);
    for (String pid : lines) {
      // It is gone, or has ended and its new parent has not noticed yet.
      assertThat(status(Path.of("/proc", pid, "status")))
          .as("process %s", pid)
          .containsAnyOf("gone", "State:\tZ");
    }
  }

  private static String status(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      return "gone";
    }
  }
}
