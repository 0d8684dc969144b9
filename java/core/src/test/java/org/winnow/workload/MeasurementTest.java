package org.winnow.workload;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;

/** Limits, and what is measured against them. */
class MeasurementTest {
  private static final Limits LIMITS = new Limits(10, 100, 200);

  @Test
  void theLimitIsWhatTakesLonger() {
    Work reading = new Work(40, 100);
    assertThat(LIMITS.seconds(reading, DType.F32)).isEqualTo(4);
    assertThat(LIMITS.limitedBy(reading, DType.F32)).isEqualTo("reading");
    assertThat(LIMITS.share(reading, DType.F32, 8)).isEqualTo(0.5);
    Work arithmetic = new Work(40, 1000);
    assertThat(LIMITS.seconds(arithmetic, DType.F32)).isEqualTo(10);
    assertThat(LIMITS.seconds(arithmetic, DType.BF16)).isEqualTo(5);
    assertThat(LIMITS.limitedBy(arithmetic, DType.BF16)).isEqualTo("arithmetic");
    assertThat(LIMITS.share(Work.UNKNOWN, DType.F32, 1)).isNaN();
    assertThat(LIMITS.limitedBy(Work.UNKNOWN, DType.F32)).isEqualTo("-");
  }

  @Test
  void limitsBetweenTwoMomentsAreTheirMean() {
    assertThat(new Limits(10, 100, 50).operationsPerSecond(DType.BF16)).isEqualTo(100);
    assertThat(LIMITS.operationsPerSecond(DType.BF16)).isEqualTo(200);
    assertThat(LIMITS.operationsPerSecond(DType.F32)).isEqualTo(100);
    assertThat(LIMITS.mean(new Limits(20, 300, 600))).isEqualTo(new Limits(15, 200, 400));
  }

  @Test
  void theProbeReadsNewMemoryOrThePoolInTurn() {
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), 1);
        WeightPool pool = new WeightPool(backend, DType.BF16, 3 << 20);
        LimitProbe ofNewMemory = new LimitProbe(backend, 1 << 20);
        LimitProbe ofPool = new LimitProbe(backend, pool, 1 << 20)) {
      for (int i = 0; i < 4; i++) { // once more than the pool has parts
        for (LimitProbe probe : new LimitProbe[] {ofNewMemory, ofPool}) {
          Limits limits = probe.measure(1);
          assertThat(limits.readBytesPerSecond()).isBetween(1e8, 1e13);
          assertThat(limits.f32OperationsPerSecond()).isBetween(1e8, 1e13);
          assertThat(limits.bf16OperationsPerSecond()).isBetween(1e8, 1e13);
        }
      }
      ofPool.close();
      assertThat(pool.expert(MoeShape.KJV_MOE, 0).gate().isClosed()).isFalse();
      assertThatThrownBy(() -> new LimitProbe(backend, pool, 4 << 20))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("bytesPerReading must lie in [2, 3145728], found 4194304");
    }
  }

  @Test
  void aWrongResultIsNotTimed() {
    AtomicLong reads = new AtomicLong();
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), 1);
        LimitProbe probe = new LimitProbe(backend, 1 << 20);
        Workload wrong = new ReadsOneByte(false)) {
      assertThatThrownBy(() -> Measurement.of(wrong, probe, reads::incrementAndGet))
          .isInstanceOf(WrongResultException.class)
          .hasMessage("reading, one byte, f32, 3 tokens: element 0 of token 2");
    }
    assertThat(reads).hasValue(0);
  }

  /** A clock that goes on by 2 ms each time that it is read. */
  @Test
  void timeIsThatOfTheClockAndTheShareThatOfTheLimit() {
    AtomicLong clock = new AtomicLong();
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), 1);
        LimitProbe probe = new LimitProbe(backend, 1 << 20);
        Workload workload = new ReadsOneByte(true)) {
      Measurement found = Measurement.of(workload, probe, () -> clock.addAndGet(2_000_000));
      assertThat(found.seconds()).isEqualTo(2e-3);
      assertThat(found.bytesPerSecond()).isEqualTo(500);
      assertThat(found.operationsPerSecond()).isZero();
      assertThat(found.limitedBy()).isEqualTo("reading");
      assertThat(500 / found.share()).as("bytes per second at the limit").isBetween(1e8, 1e13);
      assertThat(found.operation()).isEqualTo("reading");
      assertThat(found.numTokens()).isEqualTo(3);
    }
  }

  private static final class ReadsOneByte extends Workload {
    private final boolean right;

    ReadsOneByte(boolean right) {
      super("reading", "one byte", DType.F32, 3);
      this.right = right;
    }

    @Override
    public void run() {}

    @Override
    public Tensor output() {
      throw new UnsupportedOperationException();
    }

    @Override
    public void check() {
      if (!right) throw wrong("element 0 of token 2");
    }

    @Override
    public Work work() {
      return new Work(1, 0);
    }

    @Override
    public Work denseWork() {
      return work();
    }
  }
}
