package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.TransferQueue;
import org.winnow.op.Add;

/** The stand-in runs what is queued as late as it may, streams in an order that the seed gives. */
class CudaTransferQueueTest {
  private static final int WIDTH = 64;
  private static final long BYTES = WIDTH * Float.BYTES;

  private CudaBackend backend;
  private TransferQueue transfers;
  private long staging;
  private Tensor staged;
  private Tensor slot; // that is copied into
  private Tensor sum;

  @BeforeEach
  void open() {
    backend = new CudaBackend();
    transfers = Internals.raw(backend.memory()).openTransfers();
    staging = transfers.allocateStaging(BYTES);
    staged = Tensor.wrap(staging, DType.F32, WIDTH);
    slot = backend.f32(1, WIDTH);
    sum = backend.f32(1, WIDTH);
    assertThat(sum.toFloatArray()).containsOnly(0); // what was issued so far has run
  }

  @AfterEach
  void close() {
    backend.close();
  }

  private void copy(float value, long afterMark) {
    staged.fill(value);
    transfers.copy(
        new long[] {Internals.address(slot)},
        new long[] {staging},
        new long[] {BYTES},
        1,
        afterMark);
  }

  /** On the operations' own stream all of them would have to run first. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5})
  void copiesDoNotWaitForOperations(long seed) {
    assumeTrue(GpuSim.isLoaded(), () -> "the order of work is not seen: " + GpuSim.cause());
    int operations = 40;
    GpuSim.configure(seed, true, true);
    GpuReport.take();
    try (Tensor one = backend.f32(1, WIDTH).fill(1)) {
      for (int i = 0; i < operations; i++) Add.run(backend, sum, one);
      copy(5, 0);
      assertThat(GpuReport.take().launches()).hasSizeLessThan(operations / 2);
      assertThat(slot.toFloatArray()).containsOnly(5);
      assertThat(sum.toFloatArray()).containsOnly(operations);
    }
  }

  /**
   * Marks after the one that is waited for: none, or more than there are events. What a slot held
   * is read before it is overwritten, and what it then holds by those issued later.
   */
  @ParameterizedTest
  @CsvSource({"1, 0", "2, 0", "3, 0", "4, 0", "5, 0", "1, 100", "2, 100", "3, 100"})
  void aSlotIsOverwrittenWhenTheOperationsThatReadItHaveRun(long seed, int laterMarks) {
    if (GpuSim.isLoaded()) GpuSim.configure(seed, true, true);
    float expected = 0;
    for (int round = 1; round <= 10; round++) {
      Add.run(backend, sum, slot);
      long mark = transfers.mark();
      for (int i = 0; i < laterMarks; i++) transfers.mark();
      copy(round, mark);
      Add.run(backend, sum, slot);
      expected += (round - 1) + round;
    }
    assertThat(sum.toFloatArray()).containsOnly(expected);
  }

  @Test
  void aQueueOfALostContextIsClosedWithoutAnError() {
    assumeTrue(GpuSim.isLoaded(), () -> "the process would lose the device: " + GpuSim.cause());
    Tensor nowhere =
        Tensor.wrap(backend.memory(), Internals.address(slot) + (1L << 40), DType.F32, 1, WIDTH);
    Add.run(backend, nowhere, slot);
    long mark = transfers.mark();
    assertThatThrownBy(() -> copy(1, mark))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("CUDA_ERROR_ILLEGAL_ADDRESS (700)");
    assertThatThrownBy(() -> Add.run(backend, sum, slot))
        .isInstanceOf(CudaException.class)
        .hasMessageContaining("(found in a copy beside operations; ");
    transfers.freeStaging(staging, BYTES);
    transfers.close();
    backend.close();
    assertThat(GpuReport.of(GpuSim.takeReports()).findings()).hasSize(1); // the illegal address
  }

  @Test
  void stagingMemoryIsAligned() {
    assertThat(staging % 4096).isZero();
    assertThat(PinnedMemory.aligned(8192, 4096)).isEqualTo(8192);
    assertThat(PinnedMemory.aligned(8193, 4096)).isEqualTo(12_288);
    assertThat(PinnedMemory.aligned(12_287, 4096)).isEqualTo(12_288);
    assertThat(PinnedMemory.aligned(8193, 1)).isEqualTo(8193);
    long other = transfers.allocateStaging(BYTES);
    transfers.freeStaging(other, BYTES);
    assertThat(other % 4096).isZero();
  }
}
