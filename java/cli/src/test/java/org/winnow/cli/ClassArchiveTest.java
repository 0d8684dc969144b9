package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.jar.JarOutputStream;
import java.util.zip.ZipEntry;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher's class data archive, in a tree whose command says whether it is used. */
class ClassArchiveTest {
  private static final String MAIN =
      """
      package org.winnow.cli;
      public class Main {
        public static void main(String[] args) {
          if (args[0].equals("generate")) new java.util.concurrent.Phaser(); // each loads others
          if (args[0].equals("inspect")) new java.util.StringJoiner("");
          System.out.println(String.join(" ", args));
          System.out.println(System.getProperty("java.vm.info").contains("sharing"));
          System.out.println(System.getProperty("winnow.archive"));
        }
      }
      """;
  private static final String FROM_ARCHIVE = "org.winnow.cli.Main source: shared objects file";

  @TempDir Path folder;
  private Path tree;

  @BeforeEach
  void writeTree() throws IOException {
    tree = Files.createDirectories(folder.resolve("tree"));
    Files.copy(Path.of("../../winnow"), tree.resolve("winnow"));
    Path lib = Files.createDirectories(tree.resolve("java/cli/target/lib"));
    Files.createDirectories(tree.resolve("build"));
    Path source = Files.writeString(folder.resolve("Main.java"), MAIN);
    String classes = Files.createDirectories(folder.resolve("classes")).toString();
    assertThat(
            ToolProvider.getSystemJavaCompiler()
                .run(null, null, null, "-d", classes, source.toString()))
        .isZero();
    writeJar(tree.resolve("java/cli/target/winnow-cli-1.jar"));
    try (OutputStream out = Files.newOutputStream(lib.resolve("empty.jar"))) {
      new JarOutputStream(out, new java.util.jar.Manifest()).close();
    }
    Files.createFile(tree.resolve("build/cli.stamp"));
  }

  private void writeJar(Path file) throws IOException {
    String name = "org/winnow/cli/Main.class";
    try (JarOutputStream jar = new JarOutputStream(Files.newOutputStream(file))) {
      jar.putNextEntry(new ZipEntry(name));
      Files.copy(folder.resolve("classes").resolve(name), jar);
    }
  }

  private List<String> run(Path root, String javaOptions) throws Exception {
    ProcessBuilder builder =
        new ProcessBuilder(root.resolve("winnow").toString(), "one", "two words")
            .redirectErrorStream(true);
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.environment().put("WINNOW_JAVA_OPTIONS", javaOptions);
    Process process = builder.start();
    String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).as(printed).isZero();
    // The tree has no sources, so what looks for newer ones complains.
    return printed.lines().filter(line -> !line.startsWith("find: ")).toList();
  }

  private Path archive(Path root) {
    return root.resolve("build/cli-" + Runtime.version().feature() + ".jsa");
  }

  private void assertUsed(Path root) throws Exception {
    assertThat(run(root, "")).containsExactly("one two words", "true", archive(root).toString());
    assertThat(run(root, "-Xlog:class+load")).anyMatch(line -> line.contains(FROM_ARCHIVE));
  }

  @Test
  void theFirstStartMakesAnArchiveThatLaterOnesUse() throws Exception {
    assertUsed(tree);
    assertThat(archive(tree)).isNotEmptyFile();
    Object made = Files.getLastModifiedTime(archive(tree));
    assertUsed(tree);
    assertThat(Files.getLastModifiedTime(archive(tree))).isEqualTo(made);
    try (var files = Files.list(tree.resolve("build"))) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .containsExactlyInAnyOrder(
              "archive.log",
              "cli.stamp",
              "command.lock",
              archive(tree).getFileName().toString(),
              archive(tree).getFileName() + ".txt");
    }
  }

  @Test
  void oneOfOtherJarsAnotherPlaceOrAnotherJdkIsMadeAnew() throws Exception {
    assertUsed(tree);
    Path moved = Files.move(tree, folder.resolve("moved"));
    assertUsed(moved);
    Files.writeString(
        folder.resolve("Main.java"), MAIN.replace("\"winnow.archive\"", "\"winnow.home\""));
    Path jar = moved.resolve("java/cli/target/winnow-cli-1.jar");
    Files.delete(jar);
    writeJar(jar);
    assertUsed(moved);
    Path description = archive(moved).resolveSibling(archive(moved).getFileName() + ".txt");
    String ofThisJdk = Files.readString(description);
    Files.writeString(description, ofThisJdk.replace(System.getProperty("java.home"), "/jdk"));
    assertUsed(moved);
    assertThat(description).hasContent(ofThisJdk);
  }

  @Test
  void theUserMayChooseACollector() throws Exception {
    for (String collector : List.of("-XX:+UseParallelGC", "-XX:+UseZGC"))
      assertThat(run(tree, collector)).startsWith("one two words");
  }

  /** The JVM checks it: no byte of another archive is used. */
  @Test
  void theJvmRefusesADamagedOne() throws Exception {
    assertUsed(tree);
    byte[] whole = Files.readAllBytes(archive(tree));
    byte[] ofAnotherJvm = whole.clone();
    int name = new String(whole, 0, 1 << 12, StandardCharsets.ISO_8859_1).indexOf(" VM (");
    assertThat(name).as("the JVM's name in the header").isPositive();
    ofAnotherJvm[name + 1] = 'X';
    byte[] changed = whole.clone();
    Arrays.fill(changed, whole.length / 2, whole.length / 2 + 4096, (byte) 0x55);
    byte[] cut = Arrays.copyOf(whole, whole.length / 2);
    for (byte[] bytes : List.of(ofAnotherJvm, changed, cut)) {
      Files.delete(archive(tree));
      Files.write(archive(tree), bytes);
      assertThat(run(tree, "")).containsExactly("one two words", "false", archive(tree).toString());
    }
    Files.delete(archive(tree));
    assertUsed(tree);
  }

  @Test
  void aFailureToMakeOneIsNotTriedAgain() throws Exception {
    Files.writeString(
        tree.resolve("winnow"),
        Files.readString(tree.resolve("winnow")).replace("-Xshare:dump", "-XX:NoSuchOption"));
    assertThat(run(tree, "")).containsExactly("one two words", "true", "null");
    assertThat(tree.resolve("build/archive.log")).content().contains("NoSuchOption");
    assertThat(archive(tree)).isEmptyFile();
    Object tried = Files.getLastModifiedTime(archive(tree));
    assertThat(run(tree, "")).containsExactly("one two words", "true", "null");
    assertThat(Files.getLastModifiedTime(archive(tree))).isEqualTo(tried);
  }

  @Test
  void aRefusalIsOneLine() throws Exception {
    Process process =
        CommandProcess.of(List.of("-Xshare:off", "-Dwinnow.archive=/a/b.jsa"), List.of("--version"))
            .start();
    String err = new String(process.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor()).isZero();
    assertThat(err.lines())
        .singleElement()
        .asString()
        .startsWith("winnow: the class data archive /a/b.jsa is damaged or of another JVM");
  }

  @Test
  void theUsersOptionsExplainARefusal() {
    ClassArchive refused = new ClassArchive(Path.of("a.jsa"), false);
    assertThat(refused.warning(" ")).contains("a.jsa");
    assertThat(refused.warning("-XX:+UseZGC")).isNull();
    assertThat(refused.describe()).startsWith("a.jsa is not used");
    ClassArchive used = new ClassArchive(Path.of("a.jsa"), true);
    assertThat(used.warning(null)).isNull();
    assertThat(used.describe()).isEqualTo("a.jsa");
    ClassArchive none = new ClassArchive(null, false);
    assertThat(none.warning(null)).isNull();
    assertThat(none.describe()).startsWith("none");
  }
}
