package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class OutputFileTest {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();
  private final Terminal terminal =
      new Terminal(
          InputStream.nullInputStream(),
          new PrintWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8)),
          out,
          new PrintWriter(new StringWriter()),
          false,
          false);

  @TempDir Path folder;

  private void write(Path file, String contents) {
    OutputFile.of(file, terminal).write(contents.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void theCheckLeavesWhatIsThereAsItWas() throws IOException {
    Path there = Files.writeString(folder.resolve("there"), "as it was");
    OutputFile.of(there, terminal);
    OutputFile.of(folder.resolve("new"), terminal);
    assertThat(folder).isDirectoryContaining("glob:**there");
    assertThat(Files.list(folder)).containsExactly(there);
    assertThat(there).hasContent("as it was");
  }

  @Test
  void aFileIsReplacedWithItsPermissionsAndNothingIsLeftBeside() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "a longer old text");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-rw-r--"));
    write(file, "new");
    assertThat(file).hasContent("new");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-rw-r--");
    write(folder.resolve("other"), "first");
    assertThat(Files.list(folder)).containsExactlyInAnyOrder(file, folder.resolve("other"));
  }

  /** Whoever has the old file open keeps all of it: it is replaced, not written over. */
  @Test
  void aReaderOfTheOldFileNeverSeesHalfOfEach() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    try (InputStream old = Files.newInputStream(file)) {
      write(file, "a new text");
      assertThat(new String(old.readAllBytes(), StandardCharsets.UTF_8)).isEqualTo("old");
    }
  }

  @Test
  void linksStayLinks() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "old");
    Path link = Files.createSymbolicLink(folder.resolve("link"), Path.of("file"));
    Path toLink = Files.createSymbolicLink(folder.resolve("to-link"), link);
    write(toLink, "new");
    assertThat(toLink).isSymbolicLink();
    assertThat(link).isSymbolicLink();
    assertThat(file).hasContent("new");
    Path dangling = Files.createSymbolicLink(folder.resolve("dangling"), Path.of("later"));
    write(dangling, "made");
    assertThat(dangling).isSymbolicLink();
    assertThat(folder.resolve("later")).hasContent("made");
  }

  @Test
  void namesOfStandardOutputAreStandardOutput() {
    terminal.out().print("text ");
    for (String name : new String[] {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
      write(Path.of(name), name + " ");
    assertThat(out.toString(StandardCharsets.UTF_8))
        .isEqualTo("text - /dev/stdout /dev/fd/1 /proc/self/fd/1 ");
  }

  @Test
  void devicesAndPipesAreWrittenTo() throws Exception {
    write(Path.of("/dev/null"), "nothing");
    assertThat(Path.of("/dev/null")).exists();
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    CompletableFuture<String> read =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return Files.readString(pipe);
              } catch (IOException e) {
                return e.toString();
              }
            });
    write(pipe, "through the pipe");
    assertThat(read.get(10, TimeUnit.SECONDS)).isEqualTo("through the pipe");
    OutputFile full = OutputFile.of(Path.of("/dev/full"), terminal);
    assertThatThrownBy(() -> full.write(new byte[1]))
        .isInstanceOf(CommandException.class)
        .hasMessage("/dev/full: cannot be written: No space left on device");
  }

  @Test
  void whatCannotBeWrittenIsRefusedBeforehand() throws IOException {
    Path absent = folder.resolve("absent/file");
    assertThatThrownBy(() -> OutputFile.of(absent, terminal))
        .hasMessage(absent + ": cannot be written: no such file or directory");
    assertThatThrownBy(() -> OutputFile.of(folder, terminal))
        .hasMessage(folder + ": cannot be written: Is a directory");
    Path under = Files.createFile(folder.resolve("file")).resolve("under");
    assertThatThrownBy(() -> OutputFile.of(under, terminal))
        .hasMessage(under + ": cannot be written: Not a directory");
    Path loop = folder.resolve("loop");
    Files.createSymbolicLink(loop, loop);
    assertThatThrownBy(() -> OutputFile.of(loop, terminal))
        .hasMessage(loop + ": cannot be written: Too many levels of symbolic links");
  }

  @Test
  void aFileInADirectoryThatCannotBeWrittenIsOverwritten() throws IOException {
    Path closed = Files.createDirectory(folder.resolve("closed"));
    Path file = Files.writeString(closed.resolve("file"), "a longer old text");
    Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("r-xr-xr-x"));
    try {
      assumeFalse(Files.isWritable(closed), "root may write everywhere");
      write(file, "new");
      assertThat(file).hasContent("new");
      assertThatThrownBy(() -> OutputFile.of(closed.resolve("other"), terminal))
          .hasMessage(closed.resolve("other") + ": cannot be written: permission denied");
      Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--r--r--"));
      assertThatThrownBy(() -> OutputFile.of(file, terminal))
          .hasMessage(file + ": cannot be written: permission denied");
    } finally {
      Files.setPosixFilePermissions(closed, PosixFilePermissions.fromString("rwxr-xr-x"));
    }
  }
}
