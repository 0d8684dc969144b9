package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DiskProbeTest {
  @TempDir Path folder;

  @Test
  void readsWholeBlocksAndCleansUp() throws IOException {
    for (int numThreads : new int[] {1, 3}) {
      DiskProbe.Result result = DiskProbe.readNewFile(folder, (20 << 20) + 5, numThreads);
      assertThat(result.bytesRead()).isEqualTo(20 << 20);
      assertThat(result.gigabytesPerSecond()).isBetween(0.001, 1000.0);
    }
    Path file = Files.write(folder.resolve("weights"), new byte[(12 << 20) + 5]);
    assertThat(DiskProbe.readIntoNewMemory(file, Long.MAX_VALUE, 2).bytesRead())
        .isEqualTo(12 << 20);
    Files.delete(file);
    try (var files = Files.list(folder)) {
      assertThat(files).isEmpty();
    }
  }

  /** Else a probe that is interrupted would leave its file. */
  @Test
  void aNewFileHasNoNameOnceItHasContent() throws Exception {
    CompletableFuture<DiskProbe.Result> probe =
        CompletableFuture.supplyAsync(
            () -> {
              try {
                return DiskProbe.readNewFile(folder, 64 << 20, 1);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            });
    while (!probe.isDone()) {
      try (var files = Files.list(folder)) {
        assertThat(files.mapToLong(file -> file.toFile().length()).sum()).isZero();
      }
    }
    assertThat(probe.get().bytesRead()).isEqualTo(64 << 20);
  }

  @Test
  void refusesWhatSaysNothing() throws IOException {
    Path file = Files.write(folder.resolve("small"), new byte[100]);
    assertThatThrownBy(() -> DiskProbe.read(file, 1 << 30, 1))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> DiskProbe.read(file, 1 << 30, 0))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> DiskProbe.read(folder.resolve("absent"), 1 << 30, 1))
        .isInstanceOf(IOException.class);
  }
}
