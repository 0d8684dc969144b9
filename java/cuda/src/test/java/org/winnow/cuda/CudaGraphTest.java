package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.winnow.CapturedStep;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.internal.AddressTable;
import org.winnow.op.Add;
import org.winnow.op.DeviceTables;
import org.winnow.op.ExpertMatrices;

class CudaGraphTest {
  private final CudaBackend backend = new CudaBackend();
  private final Tensor sum = backend.f32(1, 5);
  private final Tensor addend = backend.of(new float[] {1, 2, 3, 4, 5}, 1, 5);

  @AfterEach
  void close() {
    backend.close();
  }

  private void step() {
    Add.run(backend, sum, addend);
    Add.run(backend, sum, addend);
  }

  @Test
  void aCapturedStepRunsWhenItIsRun() {
    assertThat(backend.canCapture()).isTrue();
    try (CapturedStep captured = backend.capture(this::step)) {
      assertThat(sum.toFloatArray()).containsOnly(0);
      captured.run();
      assertThat(sum.toFloatArray()).containsExactly(2, 4, 6, 8, 10);
      addend.copyFrom(new float[] {1, 1, 1, 1, 1}); // the same tensor, other values
      captured.run();
      captured.run();
      assertThat(sum.toFloatArray()).containsExactly(6, 8, 10, 12, 14);
      Add.run(backend, sum, addend); // operations go on beside it
      assertThat(sum.toFloatArray()).containsExactly(7, 9, 11, 13, 15);
    }
  }

  @Test
  void whatAStepCannotHoldIsRefused() {
    assertRefused("reading from the device", () -> sum.getFloat(0));
    assertRefused("copying to the device", () -> sum.setFloat(0, 1));
    assertRefused("allocating device memory", () -> backend.f32(1));
    assertRefused("capturing a step", () -> backend.capture(this::step));
    assertRefused("closing the backend", backend::close);
    CapturedStep captured = backend.capture(this::step);
    assertRefused("running a captured step", captured::run);
    captured.run();
    assertThat(sum.toFloatArray()).containsExactly(2, 4, 6, 8, 10);
  }

  private void assertRefused(String what, Runnable call) {
    assertThatThrownBy(
            () ->
                backend.capture(
                    () -> {
                      step();
                      call.run();
                    }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            what + " is not possible while a step is being captured: do it before or after");
  }

  @Test
  void aStepThatFailsLeavesTheBackendUsable() {
    assertThatThrownBy(
            () ->
                backend.capture(
                    () -> {
                      step();
                      throw new UnsupportedOperationException("the step's own");
                    }))
        .isInstanceOf(UnsupportedOperationException.class)
        .hasMessage("the step's own");
    assertThat(sum.toFloatArray()).containsOnly(0);
    step();
    assertThat(sum.toFloatArray()).containsExactly(2, 4, 6, 8, 10);
  }

  @Test
  void addressesThatACaptureRefusesToHandOverAreHandedOverLater() {
    try (var weights =
        new ExpertMatrices(backend.memory(), WeightFormat.BF16, 1, 8, 8, false, false)) {
      AddressTable.of(weights).put(new int[] {0}, 1, new long[] {4096, 0, 0, 0});
      assertRefused("copying to the device", weights::handOver);
      assertThat(DeviceTables.firstWeight(weights)).isEqualTo(4096);
    }
  }

  @Test
  void otherThreadsWaitForTheCapture() throws InterruptedException {
    Thread[] other = new Thread[1];
    CapturedStep captured =
        backend.capture(
            () -> {
              other[0] = new Thread(() -> Add.run(backend, sum, addend));
              other[0].start();
              step();
            });
    other[0].join();
    assertThat(sum.toFloatArray()).containsExactly(1, 2, 3, 4, 5);
    captured.run();
    assertThat(sum.toFloatArray()).containsExactly(3, 6, 9, 12, 15);
  }

  @Test
  void aClosedStepDoesNotRun() {
    CapturedStep captured = backend.capture(this::step);
    CapturedStep left = backend.capture(this::step);
    captured.close();
    captured.close();
    assertThatThrownBy(captured::run)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("captured step is closed");
    backend.close();
    left.close();
    assertThatThrownBy(left::run)
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("backend cuda:0 is closed");
  }
}
