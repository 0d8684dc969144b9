package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every program in README.md and docs compiles and prints what the page says that it prints. */
class ReadmeTest {
  private static final Path ROOT = Path.of("../..");
  private static final Pattern PROGRAM =
      Pattern.compile(
          "```java\\n((?:(?!```).)*?public class (\\w+).*?)```\\n+(?:[^`]*?\\n)?```text\\n(.*?)```",
          Pattern.DOTALL);
  private static final Pattern MAIN = Pattern.compile("public static void main");

  @TempDir Path directory;

  static List<String> pages() throws IOException {
    try (Stream<Path> docs = Files.list(ROOT.resolve("docs"))) {
      Stream<String> names = docs.map(page -> "docs/" + page.getFileName());
      return Stream.concat(Stream.of("README.md"), names.filter(name -> name.endsWith(".md")))
          .sorted()
          .toList();
    }
  }

  @ParameterizedTest
  @MethodSource("pages")
  void programsPrintWhatThePageSays(String page) throws Exception {
    String text = Files.readString(ROOT.resolve(page));
    List<MatchResult> programs = PROGRAM.matcher(text).results().toList();
    assertThat(programs)
        .as("programs in " + page + ", each followed by its output")
        .hasSize((int) MAIN.matcher(text).results().count());
    if (page.equals("README.md") || page.equals("docs/using.md")) assertThat(programs).isNotEmpty();
    for (MatchResult program : programs) {
      compile(program.group(2), program.group(1));
      assertThat(run(program.group(2))).as(program.group(2)).isEqualTo(program.group(3));
    }
  }

  /**
   * Compiles without warnings, except those about jars that a manifest names but that are
   * elsewhere.
   */
  private void compile(String name, String source) throws Exception {
    Path file = Files.writeString(directory.resolve(name + ".java"), source);
    ByteArrayOutputStream messages = new ByteArrayOutputStream();
    List<String> arguments =
        new ArrayList<>(List.of("-Xlint:all,-path", "-Werror", "-proc:none", "--release", "17"));
    arguments.addAll(
        List.of(
            "-classpath",
            System.getProperty("java.class.path"),
            "-d",
            directory.toString(),
            file.toString()));
    int status =
        ToolProvider.getSystemJavaCompiler()
            .run(null, messages, messages, arguments.toArray(String[]::new));
    assertThat(status).as(messages.toString(StandardCharsets.UTF_8)).isZero();
  }

  /** Runs a program in a separate process, in the root of the repository. */
  private String run(String name) throws Exception {
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    String classPath = directory + File.pathSeparator + System.getProperty("java.class.path");
    Process process =
        new ProcessBuilder(java, "--enable-native-access=ALL-UNNAMED", "-cp", classPath, name)
            .directory(ROOT.toFile())
            .redirectErrorStream(true)
            .start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(printed).isZero();
    return printed;
  }
}
