package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Tensor;
import org.winnow.UnsupportedFormatException;

class CheckpointTest {
  @TempDir Path folder;

  static Stream<RangeReader.Opener> openers() {
    return Stream.of(RangeReader.direct(), RangeReader.buffered());
  }

  private static TensorInfo f32(String name, Path file, long offset, long... shape) {
    TensorInfo unsized = new TensorInfo(name, "F32", DType.F32, shape, file, offset, 0);
    return new TensorInfo(name, "F32", DType.F32, shape, file, offset, unsized.size() * 4);
  }

  private Path randomFile(String name, int sizeBytes) throws IOException {
    byte[] bytes = new byte[sizeBytes];
    new Random(7).nextBytes(bytes);
    return Files.write(folder.resolve(name), bytes);
  }

  @Test
  void aShapeOfTooManyElementsHasNoSize() {
    long[] shape = {1L << 32, 1L << 31};
    TensorInfo huge = new TensorInfo("huge", "F32", DType.F32, shape, Path.of("file"), 0, 0);
    assertThatThrownBy(huge::size)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "tensor huge must hold less than 2^63 elements, found [4294967296, 2147483648]");
  }

  @ParameterizedTest
  @MethodSource("openers")
  void readsEveryByteWhereverTheRangeLies(RangeReader.Opener opener) throws IOException {
    Path file = randomFile("weights", (9 << 20) + 1234);
    byte[] bytes = Files.readAllBytes(file);
    List<TensorInfo> tensors = new ArrayList<>();
    long[][] ranges = {
      {0, 1},
      {4095, 2},
      {4096, 1024},
      {1, 3},
      {8191, 4096 * 3},
      {777, (9 << 18)},
      {bytes.length - 4, 1},
      {0, bytes.length / 4}
    };
    for (long[] range : ranges) tensors.add(f32("t" + tensors.size(), file, range[0], range[1]));
    tensors.add(f32("empty", file, bytes.length, 0, 5));
    try (Checkpoint checkpoint = new Checkpoint(tensors, opener)) {
      for (TensorInfo info : checkpoint.tensors()) {
        try (Tensor tensor = checkpoint.read(info.name())) {
          assertThat(tensor.shape()).isEqualTo(info.shape());
          byte[] found = new byte[(int) info.sizeBytes()];
          tensor.asByteBuffer().get(found);
          byte[] expected = new byte[found.length];
          ByteBuffer.wrap(bytes)
              .order(ByteOrder.LITTLE_ENDIAN)
              .position((int) info.offset())
              .get(expected);
          assertThat(found).as(info.toString()).isEqualTo(expected);
        }
      }
      assertThat(checkpoint.names()).containsSequence("t0", "t1", "t2").hasSize(ranges.length + 1);
      assertThat(checkpoint.find("absent")).isNull();
    }
  }

  @Test
  void namesWhatIsWrongWithARange() throws IOException {
    Path file = randomFile("weights", 100);
    assertThatThrownBy(() -> new Checkpoint(List.of(f32("a", file, 60, 11))))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            file
                + ": a: expected a range inside the file's 100 bytes, found 44 bytes at offset 60");
    assertThatThrownBy(() -> new Checkpoint(List.of(f32("a", file, Long.MAX_VALUE - 3, 11))))
        .isInstanceOf(CheckpointException.class);
    assertThatThrownBy(() -> new Checkpoint(List.of(f32("a", file, -4, 1))))
        .isInstanceOf(CheckpointException.class);
    assertThatThrownBy(
            () ->
                new Checkpoint(
                    List.of(new TensorInfo("a", "F32", DType.F32, new long[] {3}, file, 0, 8))))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(file + ": a: expected 12 bytes for its shape and type, found 8 bytes");
    for (long[] shape : new long[][] {{1L << 32, 1L << 31}, {1L << 61}, {-2, -3}, {0, -1}}) {
      TensorInfo wrong = new TensorInfo("a", "F32", DType.F32, shape, file, 0, 24);
      assertThatThrownBy(() -> new Checkpoint(List.of(wrong)))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("a: expected ");
    }
    assertThatThrownBy(() -> new Checkpoint(List.of(f32("a", file, 0, 1), f32("a", file, 4, 1))))
        .isInstanceOf(CheckpointException.class);
    Path absent = folder.resolve("absent");
    assertThatThrownBy(() -> new Checkpoint(List.of(f32("a", absent, 0, 1))))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("absent");
  }

  @Test
  void refusesWhatItCannotReadByName() throws IOException {
    Path file = randomFile("weights", 100);
    TensorInfo quantised = new TensorInfo("q", "F8_E4M3", null, new long[] {10}, file, 0, 10);
    Checkpoint checkpoint = new Checkpoint(List.of(quantised));
    assertThatThrownBy(() -> checkpoint.read("q"))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("F8_E4M3");
    assertThatThrownBy(() -> checkpoint.read("r"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("r: expected a tensor of that name");
    checkpoint.close();
    checkpoint.close();
  }

  @ParameterizedTest
  @MethodSource("openers")
  void aFileCutShortWhileOpenIsATypedError(RangeReader.Opener opener) throws IOException {
    Path file = randomFile("weights", 1 << 20);
    try (Checkpoint checkpoint =
        new Checkpoint(List.of(f32("a", file, 4100, 100_000), f32("b", file, 0, 1)), opener)) {
      checkpoint.read("a").close();
      try (RandomAccessFile open = new RandomAccessFile(file.toFile(), "rw")) {
        open.setLength(5000);
      }
      assertThatThrownBy(() -> checkpoint.read("a"))
          .isInstanceOfSatisfying(
              ExpertReadException.class,
              e -> {
                assertThat(e.file()).isEqualTo(file);
                assertThat(e.what()).isEqualTo("a");
                assertThat(e)
                    .hasMessageContaining("changed since it was opened: it had 1048576 bytes")
                    .hasMessageContaining("it has 5000 bytes");
              });
      assertThatThrownBy(() -> checkpoint.read("b")).isInstanceOf(ExpertReadException.class);
    }
  }

  @ParameterizedTest
  @MethodSource("openers")
  void aFileWrittenToWhileOpenIsATypedError(RangeReader.Opener opener) throws IOException {
    Path file = randomFile("weights", 8192);
    FileTime before = FileTime.from(Instant.parse("2020-01-02T03:04:05.000000006Z"));
    Files.setLastModifiedTime(file, before);
    try (Checkpoint checkpoint = new Checkpoint(List.of(f32("a", file, 0, 1)), opener)) {
      checkpoint.read("a").close();
      Files.setLastModifiedTime(file, FileTime.fromMillis(before.toMillis() + 1000));
      assertThatThrownBy(() -> checkpoint.read("a"))
          .isInstanceOf(ExpertReadException.class)
          .hasMessageContaining(
              "it had 8192 bytes modified 2020-01-02T03:04:05.000000006Z,"
                  + " it has 8192 bytes modified 2020-01-02T03:04:06.000000000Z");
    }
  }

  @ParameterizedTest
  @MethodSource("openers")
  void aFileChangedBeforeItsFirstReadIsATypedError(RangeReader.Opener opener) throws IOException {
    Path file = randomFile("weights", 8192);
    try (Checkpoint written = new Checkpoint(List.of(f32("a", file, 0, 1)), opener)) {
      Files.write(file, new byte[8193]);
      assertThatThrownBy(() -> written.read("a"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("when the checkpoint was opened, 8192 bytes modified")
          .hasMessageContaining("found 8193 bytes modified");
    }
    try (Checkpoint replaced = new Checkpoint(List.of(f32("a", file, 0, 1)), opener)) {
      Path other = randomFile("other", 8193);
      Files.setLastModifiedTime(other, Files.getLastModifiedTime(file));
      Files.move(other, file, StandardCopyOption.REPLACE_EXISTING);
      assertThatThrownBy(() -> replaced.read("a"))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("in another file");
    }
  }

  /** As a network file system may: reads stop anywhere, some after a single byte. */
  @ParameterizedTest
  @ValueSource(ints = {1, 3, 4095, 4096, 5000, 9000})
  void aShortReadIsNotTheEndOfAFile(int mostBytes) throws IOException {
    Path file = randomFile("weights", 50_000);
    byte[] bytes = Files.readAllBytes(file);
    RangeReader.Opener odd = FaultyReaders.shortReads(mostBytes);
    try (Checkpoint checkpoint = new Checkpoint(List.of(f32("a", file, 300, 9000)), odd);
        Tensor tensor = checkpoint.read("a")) {
      byte[] found = new byte[36_000];
      tensor.asByteBuffer().get(found);
      assertThat(found).isEqualTo(Arrays.copyOfRange(bytes, 300, 36_300));
    }
  }

  @Test
  void survivesTheInterruptOfItsReader() throws IOException {
    Path file = randomFile("weights", 1 << 20);
    try (Checkpoint checkpoint = new Checkpoint(List.of(f32("a", file, 4, 1000)))) {
      Thread.currentThread().interrupt();
      checkpoint.read("a").close();
      assertThat(Thread.interrupted()).isTrue();
      checkpoint.read("a").close();
    }
  }

  @Test
  void refusesUseAfterClose() throws IOException {
    Path file = randomFile("weights", 100);
    Checkpoint checkpoint = new Checkpoint(List.of(f32("a", file, 0, 1)));
    checkpoint.read("a").close();
    checkpoint.close();
    assertThatThrownBy(() -> checkpoint.read("a"))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("checkpoint is closed");
  }
}
