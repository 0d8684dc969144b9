package org.winnow.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NativeCacheTest {
  private static final String USER = System.getProperty("user.name");

  @TempDir Path directory;

  @Test
  void otherContentGoesToAnotherDirectory() throws IOException {
    Path first = NativeCache.directory("one".getBytes(UTF_8), List.of(directory), directory, USER);
    Path second = NativeCache.directory("two".getBytes(UTF_8), List.of(directory), directory, USER);
    assertThat(first)
        .isDirectory()
        .hasParentRaw(directory.resolve("winnow"))
        .hasFileName("7692c3ad3540bb80"); // sha256("one")
    assertThat(second).isDirectory().isNotEqualTo(first);
    assertThat(NativeCache.directory("one".getBytes(UTF_8), List.of(directory), directory, USER))
        .isEqualTo(first);
  }

  @Test
  void fallsBackToTheTemporaryDirectory() throws IOException {
    Path file =
        Files.writeString(
            directory.resolve("file"), ""); // no directory can be made below it, not even by root
    Path found = NativeCache.directory("one".getBytes(UTF_8), List.of(file), directory, USER);
    assertThat(found).isDirectory().hasParentRaw(directory.resolve("winnow-" + USER));
  }

  @Test
  void aDirectoryOfSomebodyElseIsNotUsed() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "");
    assertThatThrownBy(
            () ->
                NativeCache.directory(
                    "one".getBytes(UTF_8), List.of(file), directory, "somebody-else"))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(
            file
                + "/winnow/7692c3ad3540bb80 (cannot be written), "
                + directory
                + "/winnow-somebody-else/7692c3ad3540bb80 (belongs to another user)");
  }

  @Test
  void deletesWhatNoProgramHasUsedForLong() throws IOException {
    Instant now = Instant.now();
    Path own = sibling("00000000000000aa", now.minusSeconds(100));
    Path old = sibling("00000000000000bb", now.minusSeconds(100));
    Path recent = sibling("00000000000000cc", now);
    Path used = sibling("00000000000000dd", now.minusSeconds(100));
    Path foreign = sibling("models", now.minusSeconds(100));
    try (FileChannel mark = NativeCache.markAsUsed(used)) {
      Files.setLastModifiedTime(used, FileTime.from(now.minusSeconds(100)));
      NativeCache.deleteUnused(own, now.minusSeconds(50));
      assertThat(List.of(own, recent, used, foreign)).allMatch(Files::isDirectory);
      assertThat(old).doesNotExist();
      assertThat(mark.isOpen()).isTrue();
    }
    NativeCache.deleteUnused(own, now.minusSeconds(50));
    assertThat(used).doesNotExist();
  }

  @Test
  void aDirectoryInUseCountsAsRecent() throws IOException {
    Path used = sibling("00000000000000aa", Instant.EPOCH);
    try (FileChannel mark = NativeCache.markAsUsed(used)) {
      assertThat(Files.getLastModifiedTime(used).toInstant()).isAfter(Instant.EPOCH);
      assertThat(mark.isOpen()).isTrue();
    }
  }

  private Path sibling(String name, Instant lastUse) throws IOException {
    Path made = Files.createDirectories(directory.resolve(name));
    Files.createDirectories(made.resolve("a.jar/b"));
    Files.writeString(made.resolve("a.jar/b/lib.so"), "x");
    return Files.setLastModifiedTime(made, FileTime.from(lastUse));
  }

  @Test
  void anotherPlatformIsNamed() {
    assertThat(
            NativeLoader.missing(
                "macosx-arm64", "1.0", false, new UnsatisfiedLinkError("no jniwinnow")))
        .isEqualTo("Winnow has natives for linux-x86_64, this machine is macosx-arm64");
  }

  @Test
  void theMissingJarIsNamed() {
    UnsatisfiedLinkError error = new UnsatisfiedLinkError("no jniwinnow");
    assertThat(NativeLoader.missing("linux-x86_64", "1.0", false, error))
        .contains(
            "org.winnow:winnow-core:1.0:linux-x86_64", "from the class path", "cause: no jniwinnow")
        .doesNotContain("\n");
    assertThat(NativeLoader.missing("linux-x86_64", "1.0", true, error))
        .contains("from the module path", "--add-modules ALL-MODULE-PATH");
  }

  @Test
  void nativesThatAreThereAndCannotBeLoadedAreNotCalledMissing() {
    Error error = new UnsatisfiedLinkError("no jniwinnow in java.library.path");
    error.initCause(new UnsatisfiedLinkError("libjniwinnow.so: failed to map segment"));
    assertThat(NativeLoader.unloadable("/cache/winnow/7692", error))
        .startsWith(
            "Winnow's natives cannot be loaded from /cache/winnow/7692: libjniwinnow.so: failed to"
                + " map segment; ")
        .contains("XDG_CACHE_HOME", "-Dwinnow.native.path")
        .doesNotContain("add the jar");
  }

  @Test
  void theLoadedLibraryIsNamed() {
    assertThat(NativeLoader.path()).endsWith("libjniwinnow.so");
    assertThat(NativeLoader.abiVersion()).isEqualTo(NativeLoader.ABI_VERSION);
  }
}
