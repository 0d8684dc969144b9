package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizersCacheTest {
  @TempDir Path folder;

  private Path put(String version, Duration age) throws IOException {
    Path directory = Files.createDirectories(folder.resolve(version));
    Path file = Files.writeString(directory.resolve(TokenizersCache.FILE), "old");
    FileTime time = FileTime.from(Instant.now().minus(age));
    Files.setLastModifiedTime(file, time);
    Files.setLastModifiedTime(directory, time);
    return directory;
  }

  @Test
  void unpacksOnceAndDeletesWhatWasNotUsedForLong() throws Exception {
    Path old = put("tokenizers-3-old", Duration.ofDays(31));
    Path recent = put("tokenizers-3-recent", Duration.ofDays(29));
    Path foreign = put("another", Duration.ofDays(99));
    Path file = TokenizersCache.unpack(folder);
    assertThat(file.getParent().getFileName().toString())
        .matches("tokenizers-" + Files.size(file) + "-[0-9a-f]+");
    assertThat(old).doesNotExist();
    assertThat(recent).exists();
    assertThat(foreign).exists();
    FileTime past = FileTime.from(Instant.now().minus(Duration.ofDays(40)));
    Files.setLastModifiedTime(file, past);
    assertThat(TokenizersCache.unpack(folder)).isEqualTo(file);
    assertThat(Files.getLastModifiedTime(file)).as("its last use").isGreaterThan(past);
    try (Stream<Path> left = Files.list(file.getParent())) {
      assertThat(left).containsExactly(file);
    }
  }

  @Test
  void replacesAPartOfTheLibraryAndDiscards() throws Exception {
    Path file = TokenizersCache.unpack(folder);
    long size = Files.size(file);
    Files.writeString(file, "part");
    assertThat(TokenizersCache.unpack(folder)).isEqualTo(file).hasSize(size);
    TokenizersCache.discard(file);
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void aCopyLastsAsLongAsItsUse() throws Exception {
    Path file = TokenizersCache.unpack(folder);
    Path[] used = {folder};
    TokenizersCache.withCopy(
        file,
        copy -> {
          assertThat(copy).hasSameBinaryContentAs(file).hasFileName(TokenizersCache.FILE);
          used[0] = copy;
        });
    assertThat(used[0].getParent()).doesNotExist();
  }

  @Test
  void saysWhyADirectoryCannotBeUsed() throws IOException {
    Path notADirectory = Files.writeString(folder.resolve("file"), "");
    assertThatThrownBy(() -> TokenizersCache.unpack(notADirectory.resolve("below")))
        .isInstanceOf(TokenizersCache.UnusableException.class)
        .hasMessageContaining("FileSystemException");
  }
}
