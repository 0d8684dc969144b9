package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CompletionCommandTest {
  @TempDir Path folder;
  private Path script;

  @BeforeEach
  void print() throws IOException {
    CapturedRun run = CapturedRun.of("completion");
    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.err()).isEmpty();
    script = Files.writeString(folder.resolve("winnow"), run.out());
  }

  private static String bash(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of("bash", "--norc"));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(printed).isZero();
    return printed.strip();
  }

  /** What the tab key offers after these words; the last one is being written. */
  private List<String> offers(String... words) throws Exception {
    String program =
        "source '%s'; compopt() { :; }; COMP_WORDS=(%s); COMP_CWORD=%d; _complete_winnow;"
            + " printf '%%s\\n' \"${COMPREPLY[@]}\"";
    String list = "'" + String.join("' '", words) + "'";
    return bash("-c", program.formatted(script, list, words.length - 1)).lines().toList();
  }

  @Test
  void bashReadsIt() throws Exception {
    assertThat(bash("-n", script.toString())).isEmpty();
    assertThat(bash("-c", "source '" + script + "'; complete -p winnow"))
        .isEqualTo("complete -o default -F _complete_winnow winnow");
  }

  @Test
  void commandsOptionsValuesAreOffered() throws Exception {
    assertThat(offers("winnow", "")).contains("generate", "doctor").doesNotContain("demo-worker");
    assertThat(offers("./winnow", "gen")).containsExactly("generate");
    assertThat(offers("winnow", "generate", "model", "--max-")).containsExactly("--max-tokens");
    assertThat(offers("winnow", "generate", "model", "--stream", ""))
        .containsExactly("text", "json");
    assertThat(offers("winnow", "generate", "model", "--policy", "lf"))
        .containsExactly("lfu", "lfru");
  }
}
