package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Tensor;
import org.winnow.WeightLayout;

/** Large tensors, which several threads read. */
class TensorReadsTest {
  private static final int OFFSET = 1237;
  private static final int SIZE = (25 << 20) + 77;
  private static final long CHUNK = TensorReads.CHUNK_BYTES;

  @TempDir Path folder;
  private Path file;
  private byte[] bytes;

  @BeforeEach
  void write() throws IOException {
    bytes = new byte[OFFSET + SIZE + 5];
    new Random(3).nextBytes(bytes);
    file = Files.write(folder.resolve("weights"), bytes);
  }

  private Checkpoint checkpoint(RangeReader.Opener opener) {
    long[] shape = {SIZE};
    return new Checkpoint(
        List.of(new TensorInfo("t", "I8", DType.I8, shape, file, OFFSET, SIZE)), opener);
  }

  /** Reads of aligned blocks, after an action that gets where they begin. */
  private static RangeReader.Opener aligned(LongConsumer beforeRead) {
    return path -> {
      RangeReader reader = RangeReader.buffered().open(path);
      return new RangeReader() {
        @Override
        public int alignmentBytes() {
          return 4096;
        }

        @Override
        long read(long offsetBytes, long address, long sizeBytes) throws IOException {
          assertThat(offsetBytes % 4096).isZero();
          assertThat(address % 4096).isZero();
          assertThat(sizeBytes % 4096).isZero();
          beforeRead.accept(offsetBytes);
          return reader.read(offsetBytes, address, sizeBytes);
        }

        @Override
        public void close() {
          reader.close();
        }
      };
    };
  }

  private void assertWhole(Tensor tensor) {
    byte[] found = new byte[SIZE];
    tensor.asByteBuffer().get(found);
    assertThat(Arrays.equals(found, 0, SIZE, bytes, OFFSET, OFFSET + SIZE)).isTrue();
  }

  @Test
  void everyByteIsReadOnceBySeveralThreads() {
    Set<Thread> threads = ConcurrentHashMap.newKeySet();
    Set<Long> offsets = ConcurrentHashMap.newKeySet();
    RangeReader.Opener opener =
        aligned(
            offset -> {
              threads.add(Thread.currentThread());
              assertThat(offsets.add(offset)).isTrue();
              while (threads.size() < 2) Thread.onSpinWait(); // until a second one reads
            });
    try (Checkpoint checkpoint = checkpoint(opener);
        Tensor tensor = checkpoint.read("t")) {
      assertWhole(tensor);
      assertThat(offsets)
          .containsExactlyInAnyOrderElementsOf(
              LongStream.rangeClosed(0, (OFFSET + SIZE) / CHUNK).mapToObj(i -> i * CHUNK).toList());
    }
    assertThat(threads)
        .noneMatch(thread -> thread.getName().contains("tensor-reader") && thread.isAlive());
  }

  @Test
  void theFilesOwnReadersGiveTheSameBytes() {
    for (RangeReader.Opener opener : List.of(RangeReader.direct(), RangeReader.buffered())) {
      try (Checkpoint checkpoint = checkpoint(opener);
          Tensor tensor = checkpoint.read("t")) {
        assertWhole(tensor);
      }
    }
  }

  @RepeatedTest(5)
  void theFirstFailureInTheFileIsThrown() {
    RangeReader.Opener opener =
        aligned(
            offset -> {
              if (offset == 2 * CHUNK) sleep(); // the other one fails earlier in time
              if (offset >= 2 * CHUNK) throw new IllegalStateException("at " + offset);
            });
    try (Checkpoint checkpoint = checkpoint(opener)) {
      assertThatThrownBy(() -> checkpoint.read("t"))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("at " + 2 * CHUNK);
    }
  }

  private static void sleep() {
    try {
      Thread.sleep(20);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void anErrorOfAHelperIsThrown() {
    RangeReader.Opener opener =
        aligned(
            offset -> {
              if (offset >= CHUNK) throw new OutOfMemoryError("of " + offset);
            });
    try (Checkpoint checkpoint = checkpoint(opener)) {
      assertThatThrownBy(() -> checkpoint.read("t"))
          .isInstanceOf(OutOfMemoryError.class)
          .hasMessage("of " + CHUNK);
    }
  }

  @Test
  void aFileThatEndsEarlyIsNamed() {
    RangeReader.Opener cut =
        aligned(
            offset -> {
              if (offset == 0) cut();
            });
    try (Checkpoint checkpoint = checkpoint(cut)) {
      assertThatThrownBy(() -> checkpoint.read("t"))
          .isInstanceOf(ExpertReadException.class)
          .hasMessageContaining(file.toString());
    }
  }

  private void cut() {
    try {
      Files.write(file, Arrays.copyOf(bytes, (int) (3 * CHUNK)));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void anInterruptedThreadReadsToTheEnd() {
    Thread.currentThread().interrupt();
    try (Checkpoint checkpoint = checkpoint(aligned(offset -> {}));
        Tensor tensor = checkpoint.read("t")) {
      assertThat(Thread.interrupted()).isTrue();
      assertWhole(tensor);
    }
  }

  /** Tensors of the file, each named by where it begins. */
  private List<TensorInfo> tensors(int... beginsAndSizes) {
    List<TensorInfo> tensors = new ArrayList<>();
    for (int i = 0; i < beginsAndSizes.length; i += 2) {
      int begin = beginsAndSizes[i];
      int size = beginsAndSizes[i + 1];
      String name = "at " + begin + " of " + size;
      tensors.add(new TensorInfo(name, "I8", DType.I8, new long[] {size}, file, begin, size));
    }
    return tensors;
  }

  private void assertNext(TensorReads reads, TensorInfo info) {
    try (Tensor tensor = reads.next()) {
      byte[] found = new byte[(int) info.sizeBytes()];
      tensor.asByteBuffer().get(found);
      int begin = (int) info.offset();
      assertThat(found).isEqualTo(Arrays.copyOfRange(bytes, begin, begin + found.length));
    }
  }

  @Test
  void tensorsComeInTheOrderThatIsAskedFor() {
    List<TensorInfo> tensors =
        tensors(
            100,
            50,
            150,
            0,
            160,
            70_000,
            200_000,
            7_000_000,
            7_200_001,
            1,
            20_000_000,
            5_000_000,
            3,
            12,
            200_100,
            0);
    for (RangeReader.Opener opener : List.of(RangeReader.direct(), RangeReader.buffered())) {
      for (int first = 0; first < tensors.size(); first++) {
        List<TensorInfo> asked = tensors.subList(first, tensors.size());
        try (Checkpoint checkpoint = new Checkpoint(tensors, opener);
            TensorReads reads =
                checkpoint.readEach(asked.stream().map(TensorInfo::name).toList())) {
          for (TensorInfo info : asked) assertNext(reads, info);
          assertThatThrownBy(reads::next).isInstanceOf(NoSuchElementException.class);
        }
      }
    }
  }

  /**
   * Panels of 64 KiB, of several matrices in one chunk, of a vector between, larger than a chunk.
   */
  @Test
  void matricesAreArrangedWhileTheyAreRead() {
    List<TensorInfo> tensors = new ArrayList<>();
    tensors.add(matrix(OFFSET, DType.BF16, 2001, 2048));
    tensors.add(matrix(end(tensors, 0), DType.F32, 33, 7));
    tensors.add(matrix(end(tensors, 1), DType.I8, 77));
    tensors.add(matrix(end(tensors, 2) + 100_000, DType.F16, 16, 32));
    tensors.add(matrix(end(tensors, 3), DType.BF16, 90, 40_000));
    tensors.add(matrix(end(tensors, 4), DType.F32, 500, 600));
    tensors.add(matrix(end(tensors, 5), DType.F32, 0, 600));
    List<WeightLayout> layouts =
        tensors.stream()
            .map(info -> info.dtype() == DType.I8 ? WeightLayout.ROWS : WeightLayout.PANELS)
            .toList();
    for (RangeReader.Opener opener :
        List.of(RangeReader.direct(), RangeReader.buffered(), aligned(offset -> {}))) {
      try (Checkpoint checkpoint = new Checkpoint(tensors, opener);
          TensorReads reads =
              checkpoint.readEach(tensors.stream().map(TensorInfo::name).toList(), layouts)) {
        for (int i = 0; i < tensors.size(); i++) {
          try (Tensor found = reads.next();
              Tensor expected = checkpoint.read(tensors.get(i).name())) {
            if (layouts.get(i) == WeightLayout.PANELS) WeightLayout.PANELS.arrange(expected);
            assertThat(found.asByteBuffer().equals(expected.asByteBuffer()))
                .as(tensors.get(i).toString())
                .isTrue();
          }
        }
      }
    }
  }

  @Test
  void onlyMatricesOfFloatingValuesLieInPanels() {
    List<TensorInfo> tensors = List.of(matrix(0, DType.F32, 77), matrix(308, DType.I8, 4, 4));
    try (Checkpoint checkpoint = new Checkpoint(tensors)) {
      for (TensorInfo info : tensors) {
        assertThatThrownBy(
                () -> checkpoint.readEach(List.of(info.name()), List.of(WeightLayout.PANELS)))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessageStartingWith("layout of " + info + " must be rows");
      }
      assertThatThrownBy(() -> checkpoint.readEach(List.of("at 0"), List.of()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("layouts must be as many as names, 1, found 0");
    }
  }

  private TensorInfo matrix(long offset, DType dtype, long... shape) {
    long size = Arrays.stream(shape).reduce(dtype.sizeBytes(), (a, b) -> a * b);
    String type = dtype.toString().toUpperCase(Locale.ROOT);
    return new TensorInfo("at " + offset, type, dtype, shape, file, offset, size);
  }

  private static long end(List<TensorInfo> tensors, int i) {
    return tensors.get(i).offset() + tensors.get(i).sizeBytes();
  }

  @Test
  void smallTensorsThatLieTogetherAreOneRead() {
    List<Long> offsets = new CopyOnWriteArrayList<>();
    List<TensorInfo> tensors = tensors(4096, 10, 5000, 4000, 9500, 20, 500_000, 30);
    try (Checkpoint checkpoint = new Checkpoint(tensors, aligned(offsets::add));
        TensorReads reads = checkpoint.readEach(List.copyOf(checkpoint.names()))) {
      for (TensorInfo info : tensors) assertNext(reads, info);
    }
    assertThat(offsets).containsExactly(4096L, 499_712L); // the last one lies apart
  }

  @Test
  void theTensorThatCannotBeReadIsNamedAmongThoseOfOneRead() {
    List<TensorInfo> tensors = tensors(0, 10, 4010, 20, 8200, 20);
    RangeReader.Opener opener =
        FaultyReaders.reading(
            aligned(offset -> {}),
            (reader, offset, address, size) -> {
              if (offset + size > 8192) throw new IOException("bad block");
              return reader.read(offset, address, size);
            });
    try (Checkpoint checkpoint = new Checkpoint(tensors, opener);
        TensorReads reads = checkpoint.readEach(List.copyOf(checkpoint.names()))) {
      assertThatThrownBy(reads::next)
          .isInstanceOf(ExpertReadException.class)
          .hasMessageContaining("at 8200 of 20");
    }
  }

  @Test
  void whatIsNotTakenIsClosed() throws InterruptedException {
    CountDownLatch begun = new CountDownLatch(1);
    RangeReader.Opener opener = aligned(offset -> begun.countDown());
    try (Checkpoint checkpoint = new Checkpoint(tensors(0, 10_000_000, 10_000_000, 9), opener)) {
      TensorReads reads = checkpoint.readEach(List.copyOf(checkpoint.names()));
      begun.await(); // by a helper
      reads.close();
      reads.close();
      assertThatThrownBy(reads::next).isInstanceOf(IllegalStateException.class);
    }
  }
}
