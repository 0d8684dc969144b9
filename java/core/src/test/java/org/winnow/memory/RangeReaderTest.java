package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;

/** Reads that take long, from a file that has no end. */
class RangeReaderTest {
  private static final Path ENDLESS = Path.of("/dev/urandom");
  private static final long SIZE_BYTES = 32 << 20; // a tenth of a second

  @Test
  void releasingOtherMemoryDoesNotWaitForARead() throws IOException {
    boolean wasFirst = false;
    try (RangeReader reader = RangeReader.buffered().open(ENDLESS);
        Tensor memory = Tensor.allocate(DType.I8, SIZE_BYTES)) {
      for (int attempt = 0; attempt < 20 && !wasFirst; attempt++) { // a busy machine may pause us
        memory.asByteBuffer().putLong((int) SIZE_BYTES - 8, 0);
        CompletableFuture<Long> read =
            CompletableFuture.supplyAsync(() -> read(reader, Internals.address(memory)));
        awaitFirstBytes(memory);
        Tensor.allocate(DType.I8, 8).close();
        wasFirst = memory.asByteBuffer().getLong((int) SIZE_BYTES - 8) == 0; // the read goes on
        assertThat(read.join()).isEqualTo(SIZE_BYTES);
        memory.asByteBuffer().putLong(0, 0);
      }
    }
    assertThat(wasFirst).isTrue();
  }

  @Test
  void closeWaitsForARead() throws IOException {
    try (Tensor memory = Tensor.allocate(DType.I8, SIZE_BYTES)) {
      RangeReader reader = RangeReader.buffered().open(ENDLESS);
      CompletableFuture<Long> read =
          CompletableFuture.supplyAsync(() -> read(reader, Internals.address(memory)));
      awaitFirstBytes(memory);
      reader.close();
      assertThat(memory.asByteBuffer().getLong((int) SIZE_BYTES - 8)).isNotZero();
      assertThat(read.join()).isEqualTo(SIZE_BYTES);
      reader.close();
      assertThatThrownBy(() -> reader.read(0, Internals.address(memory), 8))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("reader of /dev/urandom is closed");
    }
  }

  private static void awaitFirstBytes(Tensor memory) {
    while (memory.asByteBuffer().getLong(0) == 0) Thread.onSpinWait();
  }

  private static long read(RangeReader reader, long address) {
    try {
      return reader.read(0, address, SIZE_BYTES);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }
}
