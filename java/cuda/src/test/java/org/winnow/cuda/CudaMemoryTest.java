package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.bytedeco.cuda.global.cudart.cuDevicePrimaryCtxGetState;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.winnow.BudgetException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.TransferQueue;
import org.winnow.op.Add;

class CudaMemoryTest {
  private static final long MIB = 1L << 20;

  @Test
  void newTensorsAreZero() {
    try (var backend = new CudaBackend();
        Tensor tensor = backend.allocate(DType.I32, 3, 1000)) {
      assertThat(tensor.toIntArray()).containsOnly(0);
      assertThat(tensor.memory().toString()).isEqualTo("cuda:0's memory");
      assertThat(tensor.memory().isHost()).isFalse();
    }
  }

  @Test
  void bytesComeBackAsTheyWere() {
    int[] values = IntStream.range(0, 1_500_001).map(i -> i * 31).toArray(); // more than all slots
    try (var backend = new CudaBackend();
        Tensor tensor = backend.of(values, values.length);
        Tensor other = backend.copyOf(tensor);
        Tensor host = Tensor.allocate(DType.I32, values.length)) {
      assertThat(tensor.toIntArray()).isEqualTo(values);
      assertThat(host.copyFrom(other).toIntArray()).isEqualTo(values);
      tensor.slice(7, 9).copyFrom(new int[] {1, 2});
      assertThat(tensor.getInt(6)).isEqualTo(values[6]);
      assertThat(tensor.getInt(7)).isEqualTo(1);
      assertThat(tensor.getInt(9)).isEqualTo(values[9]);
    }
  }

  /** The host's bytes may change as soon as the copy from them has returned. */
  @Test
  void copiesDoNotSeeWhatIsWrittenAfterThem() {
    try (var backend = new CudaBackend();
        Tensor host = Tensor.of(new int[] {1, 2, 3}, 3);
        Tensor first = backend.copyOf(host);
        Tensor second = backend.copyOf(host.copyFrom(new int[] {4, 5, 6}))) {
      host.copyFrom(new int[] {7, 8, 9});
      assertThat(first.toIntArray()).containsExactly(1, 2, 3);
      assertThat(second.toIntArray()).containsExactly(4, 5, 6);
    }
  }

  @Test
  void theBudgetIsOfBytesInUse() {
    try (var backend = new CudaBackend(0, 3 * MIB)) {
      long own = backend.usedBytes();
      Tensor two = backend.allocate(DType.I8, 2 * MIB);
      assertThat(backend.usedBytes()).isEqualTo(own + 2 * MIB);
      assertThat(backend.budgetBytes()).isEqualTo(3 * MIB);
      assertThatThrownBy(() -> backend.allocate(DType.I8, MIB + 1 - own))
          .isInstanceOf(BudgetException.class)
          .hasMessage("cuda:0's budget: expected at least 3145729 bytes, found 3145728");
      backend.allocate(DType.I8, MIB - own).close();
      two.close();
      assertThat(backend.usedBytes()).isEqualTo(own);
      backend.allocate(DType.I8, 3 * MIB - own).close();
    }
  }

  @Test
  void aBudgetTooSmallForTheBackendItselfLeavesNothingBehind() {
    int[] flags = new int[1];
    int[] active = new int[1];
    assertThatThrownBy(() -> new CudaBackend(0, Long.BYTES)).isInstanceOf(BudgetException.class);
    CudaError.check(cuDevicePrimaryCtxGetState(0, flags, active), "cuDevicePrimaryCtxGetState");
    assertThat(active[0]).isZero();
  }

  @Test
  void pinnedMemoryThatTheSystemDoesNotGiveIsOutOfMemory() {
    try (var backend = new CudaBackend();
        TransferQueue transfers = Internals.raw(backend.memory()).openTransfers()) {
      assertThatThrownBy(() -> transfers.allocateStaging(1L << 50))
          .isInstanceOf(OutOfMemoryError.class)
          .hasMessageStartingWith(
              "the system locks no 1125899906842624 bytes of memory for cuda:0: cuMemHostAlloc"
                  + " failed: CUDA_ERROR_OUT_OF_MEMORY (2), ");
    }
  }

  @Test
  void whatIsLeftOfTheBudgetCanBeAsked() {
    try (var backend = new CudaBackend(0, 3 * MIB);
        Tensor tensor = backend.allocate(DType.I8, 2 * MIB)) {
      assertThat(backend.memory().availableBytes())
          .isEqualTo(backend.budgetBytes() - backend.usedBytes())
          .isLessThanOrEqualTo(MIB);
      assertThat(tensor.memory().availableBytes()).isPositive();
    }
  }

  @Test
  void anEmptyTensorIsATensor() {
    try (var backend = new CudaBackend();
        Tensor empty = backend.f32(0, 4)) {
      assertThat(empty.toFloatArray()).isEmpty();
      Add.run(backend, empty, empty);
    }
  }

  @Test
  void closingTheBackendReleasesItsTensors() {
    var backend = new CudaBackend();
    Tensor tensor = backend.f32(4, 4);
    backend.close();
    backend.close();
    assertThatThrownBy(tensor::toFloatArray)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("backend cuda:0 is closed");
    assertThatThrownBy(() -> Add.run(backend, tensor, tensor))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("backend cuda:0 is closed");
    tensor.close();
    tensor.close();
  }

  @Test
  void operationsTakeTensorsOfTheirBackendOnly() {
    try (var backend = new CudaBackend();
        Tensor own = backend.f32(1, 4);
        Tensor host = Tensor.f32(1, 4)) {
      assertThatThrownBy(() -> Add.run(backend, own, host))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("addend must lie in cuda:0's memory, found host memory");
    }
  }
}
