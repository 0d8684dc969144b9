package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;

class TensorTest {
  private static final ByteBuffer MEMORY =
      ByteBuffer.allocateDirect(64).order(ByteOrder.nativeOrder());

  @Test
  void isZeroUntilWritten() {
    try (Tensor tensor = Tensor.f32(3, 5)) {
      assertThat(tensor.toFloatArray()).containsOnly(0).hasSize(15);
      tensor.setFloat(14, 2.5f);
      assertThat(tensor.getFloat(14)).isEqualTo(2.5f);
      assertThat(tensor.getFloat(13)).isZero();
    }
  }

  @Test
  void slicesAndOtherShapesShareMemoryAndEndWithTheWhole() {
    Tensor whole = Tensor.of(new float[] {0, 1, 2, 3, 4, 5}, 3, 2);
    Tensor rows = whole.slice(1, 3);
    Tensor flat = rows.reshape(4);
    assertThat(flat.toFloatArray()).containsExactly(2, 3, 4, 5);
    flat.setFloat(0, 9);
    assertThat(whole.getFloat(2)).isEqualTo(9);
    rows.close();
    assertThat(whole.getFloat(2)).isEqualTo(9);
    assertThatThrownBy(() -> flat.getFloat(0)).isInstanceOf(IllegalStateException.class);
    Tensor other = whole.slice(0, 0);
    assertThat(other.size()).isZero();
    whole.close();
    whole.close();
    assertThatThrownBy(() -> Internals.address(other))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("tensor is closed");
  }

  @Test
  void aViewHoldsTheSameBytesAsAnotherType() {
    Tensor bytes = Tensor.allocate(DType.I8, 32);
    Tensor floats = bytes.view(8, DType.F32, 2, 3);
    floats.setFloat(5, 2.5f);
    assertThat(bytes.view(28, DType.I32, 1).getInt(0)).isEqualTo(Float.floatToIntBits(2.5f));
    refused(() -> bytes.view(12, DType.F32, 2, 3), "view must end inside 32 bytes");
    refused(() -> bytes.view(-4, DType.F32, 1), "view must end inside 32 bytes");
    refused(() -> bytes.view(40, DType.F32, 0), "view must end inside 32 bytes");
    refused(() -> bytes.view(2, DType.F32, 1), "address must be aligned to 4 bytes for f32");
    bytes.close();
    assertThatThrownBy(() -> floats.getFloat(0)).isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aCloseThatIsRefusedLeavesItOpen() {
    ScarceMemory memory = new ScarceMemory();
    Tensor tensor = Tensor.allocate(memory.memory(), DType.F32, 3);
    NativeCall call = NativeCall.enter();
    try {
      tensor.slice(0, 1).close(); // frees nothing
      assertThatThrownBy(tensor::close)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("close() called from inside an operation or while experts are held");
    } finally {
      call.exit();
    }
    memory.refusesReleases = true;
    assertThatThrownBy(tensor::close).hasMessage("releases are refused");
    assertThat(tensor.isClosed()).isFalse();
    memory.refusesReleases = false;
    tensor.close();
    assertThat(tensor.isClosed()).isTrue();
    assertThat(memory.usedBytes()).isZero();
  }

  @Test
  void aShapeThatAnotherThreadChangesIsReadOnce() throws Exception {
    long[] shape = {1};
    AtomicBoolean done = new AtomicBoolean();
    Thread other =
        new Thread(
            () -> {
              for (int i = 0; !done.get(); i++) shape[0] = i % 2 == 0 ? 1L << 40 : 1;
            });
    other.start();
    try {
      for (int i = 0; i < 500_000; i++) {
        try (Tensor tensor = Tensor.wrap(MEMORY, DType.F32, shape)) {
          assertThat(tensor.size()).isOne();
        } catch (IllegalArgumentException e) {
          assertThat(e).hasMessageStartingWith("buffer must hold");
        }
      }
    } finally {
      done.set(true);
      other.join();
    }
  }

  @Test
  void isNotCopiedOntoAPartOfItself() {
    try (Tensor tensor = Tensor.f32(3, 2)) {
      Tensor first = tensor.slice(0, 2);
      refused(() -> tensor.slice(1, 3).copyFrom(first), "tensor must not overlap source");
    }
  }

  @Test
  void wrapsABufferFromItsPositionOn() {
    ByteBuffer memory = MEMORY.duplicate().order(ByteOrder.nativeOrder());
    memory.putFloat(8, 7).position(8);
    try (Tensor tensor = Tensor.wrap(memory, DType.F32, 2)) {
      assertThat(tensor.getFloat(0)).isEqualTo(7);
      tensor.setFloat(1, 8);
      assertThat(memory.getFloat(12)).isEqualTo(8);
    }
    assertThat(memory.getFloat(12)).isEqualTo(8);
  }

  @ParameterizedTest
  @EnumSource
  void wrapsOnlyBytesInAnotherByteOrder(DType dtype) {
    ByteBuffer foreign = ByteBuffer.allocateDirect(16).order(ByteOrder.BIG_ENDIAN);
    if (dtype.sizeBytes() == 1) Tensor.wrap(foreign, dtype, 1).close();
    else
      assertThatThrownBy(() -> Tensor.wrap(foreign, dtype, 1))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("LITTLE_ENDIAN")
          .hasMessageContaining("BIG_ENDIAN");
    Tensor.wrap(foreign.order(ByteOrder.nativeOrder()), dtype, 1).close();
  }

  @Test
  void refusesMemoryThatItCannotUse() {
    refused(() -> Tensor.wrap(ByteBuffer.allocate(16), DType.F32, 4), "buffer must be direct");
    refused(
        () -> Tensor.wrap(MEMORY.duplicate().order(ByteOrder.BIG_ENDIAN), DType.F32, 4),
        "buffer must have the byte order LITTLE_ENDIAN of this machine for f32 (call"
            + " order(ByteOrder.nativeOrder()) before it is filled), found BIG_ENDIAN");
    refused(() -> Tensor.wrap(MEMORY, DType.F32, 17), "buffer must hold 68 bytes, found 64");
    refused(
        () -> Tensor.wrap(MEMORY.asReadOnlyBuffer().order(MEMORY.order()), DType.F32, 4),
        "buffer must be writable, found a read-only buffer");
    refused(() -> Tensor.wrap(0, DType.F32, 4), "address must not be 0");
    refused(
        () -> Tensor.wrap(MEMORY.duplicate().order(MEMORY.order()).position(2), DType.F32, 4),
        "address must be aligned to 4 bytes for f32, found an address 2 past a multiple");
    refused(
        () -> Tensor.wrap(4097, DType.BF16, 4),
        "address must be aligned to 2 bytes for bf16, found an address 1 past a multiple");
  }

  @Test
  void refusesShapesThatNoMemoryHolds() {
    refused(() -> Tensor.f32(2, -1), "shape must have no negative extent, found [2, -1]");
    String expected = "shape must hold less than 2^63 bytes, found [4611686018427387904]";
    refused(() -> Tensor.f32(1L << 62), expected);
    refused(() -> Tensor.wrap(MEMORY, DType.F32, 1L << 62), expected);
    refused(() -> Tensor.wrap(4096, DType.F32, 1L << 62), expected);
    assertThatThrownBy(() -> Tensor.f32(1L << 50))
        .isInstanceOf(OutOfMemoryError.class)
        .hasMessage("tensor f32[1125899906842624]: no memory for 4503599627370496 bytes");
  }

  /** Memory that was never written is not resident. */
  @Test
  void reachesBeyondTwoGibibytesAndRefusesABufferOfThem() {
    try (Tensor large = Tensor.allocate(DType.I8, 3L << 30)) {
      assertThatThrownBy(large::asByteBuffer)
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("tensor must have less than 2 GiB for a buffer, found 3221225472 bytes");
      ByteBuffer end = large.slice((3L << 30) - 4, 3L << 30).asByteBuffer();
      end.putInt(0, 7);
      assertThat(end.capacity()).isEqualTo(4);
      assertThat(large.slice((3L << 30) - 4, 3L << 30).asByteBuffer().getInt(0)).isEqualTo(7);
    }
  }

  @Test
  void refusesWhatLiesOutside() {
    try (Tensor tensor = Tensor.f32(2, 3)) {
      assertThatThrownBy(() -> tensor.getFloat(6))
          .isInstanceOf(IndexOutOfBoundsException.class)
          .hasMessage("index must lie in [0, 6), found 6");
      assertThatThrownBy(() -> tensor.setFloat(-1, 0))
          .isInstanceOf(IndexOutOfBoundsException.class);
      refused(() -> tensor.slice(1, 3), "slice must lie in [0, 2], found [1, 3]");
      refused(() -> tensor.reshape(5), "shape must hold 6 elements, found [5]");
      refused(() -> tensor.copyFrom(new float[5]), "values must be 6 elements, found 5");
      assertThatThrownBy(() -> tensor.getInt(0)).hasMessage("tensor of f32 holds no i32 values");
    }
  }

  /** The nearest of the representable values, the even one of two. */
  @Test
  void sixteenBitTypesRoundToTheNearest() {
    Random random = new Random(11);
    try (Tensor halves = Tensor.allocate(DType.F16, 1);
        Tensor brains = Tensor.allocate(DType.BF16, 1)) {
      for (int round = 0; round < 20_000; round++) {
        float value = (float) Math.scalb(random.nextGaussian(), random.nextInt(30) - 22);
        for (Tensor tensor : new Tensor[] {halves, brains}) {
          boolean half = tensor == halves;
          tensor.setFloat(0, value);
          short bits = half ? Float16.toF16(value) : Float16.toBf16(value);
          double found = tensor.getFloat(0);
          assertThat(half ? Float16.fromF16(bits) : Float16.fromBf16(bits))
              .isEqualTo((float) found);
          for (int step : new int[] {-1, 1}) {
            short next = (short) (bits + step);
            double other = half ? Float16.fromF16(next) : Float16.fromBf16(next);
            double difference = Math.abs(value - other) - Math.abs(value - found);
            assertThat(
                    difference > 0 || (difference == 0 && (bits & 1) == 0) || Double.isNaN(other))
                .as(tensor.dtype() + " of " + value + ": " + found + " rather than " + other)
                .isTrue();
          }
        }
      }
    }
  }

  private static void refused(Runnable action, String message) {
    assertThatThrownBy(action::run)
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith(message);
  }
}
