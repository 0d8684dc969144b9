package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.ScarceMemory;
import org.winnow.internal.NativeCall;
import org.winnow.memory.SyntheticExperts.Layout;

/** A cache that is closed gives everything back. */
@Timeout(
    value = 60,
    threadMode = Timeout.ThreadMode.SEPARATE_THREAD) // who waits for experts cannot be interrupted
class ExpertCacheCloseTest {
  @TempDir Path folder;

  private SyntheticExperts synthetic(Layout layout) throws IOException {
    return new SyntheticExperts(folder.resolve("weights"), layout, DType.BF16, 2, 8, 16, 24, 8);
  }

  @Test
  void aCloseThatIsRefusedOrFailsMayBeCalledAgain() throws IOException {
    SyntheticExperts experts = synthetic(Layout.SEPARATE);
    ScarceMemory memory = new ScarceMemory();
    try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
      ExpertStore store = experts.store(checkpoint);
      ExpertCache cache = new ExpertCache(store, memory.memory(), 1 << 20, EvictionPolicy.lru());
      cache.layer(0).acquire(new int[] {0, 1}, 2);
      cache.layer(0).release();
      NativeCall call = NativeCall.enter();
      try {
        assertThatThrownBy(cache::close)
            .isInstanceOf(IllegalStateException.class)
            .hasMessage("close() called from inside an operation or while experts are held");
      } finally {
        call.exit();
      }
      cache.layer(0).acquire(new int[] {0}, 1); // nothing was closed
      cache.layer(0).release();
      memory.refusesReleases = true;
      assertThatThrownBy(cache::close).hasMessage("releases are refused");
      cache.close();
    }
  }

  @Test
  void nothingLeaks() throws Exception {
    SyntheticExperts experts = synthetic(Layout.INTERLEAVED);
    int descriptors = 0;
    long threadsBefore = 0;
    for (int round = 0; round < 60; round++) {
      try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
        ExpertStore store = experts.store(checkpoint);
        try (ExpertCache cache =
            new ExpertCache(store, store.fullBudgetBytes(), EvictionPolicy.lru())) {
          cache.layer(1).acquire(new int[] {0, 3}, 2);
          cache.layer(1).release();
        }
      }
      if (round == 9) {
        descriptors = openDescriptors();
        threadsBefore = readerThreads();
      }
    }
    assertThat(openDescriptors()).isLessThanOrEqualTo(descriptors);
    for (int i = 0; i < 1000 && readerThreads() > 0; i++) Thread.sleep(1);
    assertThat(readerThreads()).isZero();
    assertThat(threadsBefore).isLessThan(20);
  }

  @Test
  void memoryIsGivenBack() throws IOException {
    int numExperts = 8;
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("large"), Layout.INTERLEAVED, DType.BF16, 1, numExperts, 256, 1024, 8);
    int[] ids = IntStream.range(0, numExperts).toArray();
    long before = 0;
    long cacheBytes = 0;
    for (int round = 0; round < 50; round++) {
      try (Checkpoint checkpoint = new Checkpoint(experts.tensors())) {
        ExpertStore store = experts.store(checkpoint);
        cacheBytes = store.fullBudgetBytes();
        try (ExpertCache cache = new ExpertCache(store, cacheBytes, EvictionPolicy.lfru())) {
          cache.layer(0).acquire(ids, numExperts);
          cache.layer(0).release();
        }
      }
      if (round == 9) before = residentBytesOutsideTheHeap();
    }
    assertThat(cacheBytes).isGreaterThan(12 << 20);
    assertThat(residentBytesOutsideTheHeap() - before) // 40 arenas, or 40 times 4 staging buffers
        .isLessThan(4 * cacheBytes);
  }

  /** Anonymous memory, less what the Java heap may have grown to. */
  private static long residentBytesOutsideTheHeap() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("RssAnon:"))
        return Long.parseLong(line.replaceAll("\\D", "")) * 1024
            - Runtime.getRuntime().totalMemory();
    }
    throw new IOException("/proc/self/status has no RssAnon");
  }

  private static int openDescriptors() {
    return new File("/proc/self/fd").list().length;
  }

  private static long readerThreads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("winnow-expert-reader"))
        .count();
  }
}
