package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every program in the manual compiles and prints what the manual says that it prints. */
class ReadmeTest {
  private static final Pattern PROGRAM =
      Pattern.compile("```java\\n((?:(?!```).)*?public class (\\w+).*?)```\\n+(?:[^`]*?\\n)?```text\\n(.*?)```", Pattern.DOTALL);

  @TempDir Path directory;

  @Test
  void programsPrintWhatTheManualSays() throws Exception {
    String manual = Files.readString(Path.of("../../README.md"));
    List<MatchResult> programs = PROGRAM.matcher(manual).results().toList();
    long blocks = Pattern.compile("^```java$", Pattern.MULTILINE).matcher(manual).results().count();
    assertThat(programs).as("programs in README.md, each followed by its output").isNotEmpty().hasSize((int) blocks);
    for (MatchResult program : programs) {
      compile(program.group(2), program.group(1));
      assertThat(run(program.group(2))).as(program.group(2)).isEqualTo(program.group(3));
    }
  }

  private void compile(String name, String source) throws Exception {
    Path file = Files.writeString(directory.resolve(name + ".java"), source);
    ByteArrayOutputStream messages = new ByteArrayOutputStream();
    List<String> arguments = new ArrayList<>(List.of("-Xlint:all", "-Werror", "-proc:none", "--release", "17"));
    arguments.addAll(List.of("-classpath", System.getProperty("java.class.path"), "-d", directory.toString(), file.toString()));
    int status = ToolProvider.getSystemJavaCompiler().run(null, messages, messages, arguments.toArray(String[]::new));
    assertThat(status).as(messages.toString(StandardCharsets.UTF_8)).isZero();
  }

  private String run(String name) throws Exception {
    PrintStream standard = System.out;
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    try (URLClassLoader loader = new URLClassLoader(new URL[] {directory.toUri().toURL()})) {
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      loader.loadClass(name).getMethod("main", String[].class).invoke(null, (Object) new String[0]);
    } finally {
      System.setOut(standard);
    }
    return printed.toString(StandardCharsets.UTF_8);
  }
}
