package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.MoeLayerProblem;
import org.winnow.op.Add;

/** A step that fails ends the capture, with any exception and any waiting thread. */
@Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class CaptureRefusalsTest {
  private final CudaBackend backend = new CudaBackend();
  private final Tensor sum = backend.f32(1, 3);
  private final Tensor addend = backend.of(new float[] {1, 2, 3}, 1, 3);

  @AfterEach
  void close() {
    backend.close();
  }

  @Test
  void aCheckedExceptionEndsTheCapture() {
    assertThatThrownBy(() -> backend.capture(() -> throwUnseen(new IOException("the step's own"))))
        .isInstanceOf(IOException.class)
        .hasMessage("the step's own");
    Add.run(backend, sum, addend);
    assertThat(sum.toFloatArray()).containsExactly(1, 2, 3);
  }

  /** A call of another thread that waits for the capture would be waited for by it. */
  @Test
  void closingIsRefusedWhileAnotherThreadWaitsForTheCapture() throws Exception {
    Tensor other = backend.f32(1);
    assertRefused(
        () -> Add.run(backend, sum, addend),
        other::close,
        "close() called from inside an operation or while experts are held");
    assertRefused(
        () -> Add.run(backend, sum, addend),
        backend::close,
        "closing the backend is not possible while a step is being captured: do it before or"
            + " after");
    assertThat(sum.toFloatArray()).containsExactly(2, 4, 6);
    assertThat(other.isClosed()).isFalse();
  }

  @Test
  void aLayerThatAnotherThreadUsesIsRefused() throws Exception {
    try (var p =
            new MoeLayerProblem(backend, new Random(1), 1, 8, 2, 32, 24, DType.BF16, DType.F32);
        MoeLayer layer = p.layer(p.experts).build()) {
      String refusal =
          " is in use by another thread; a thread that captures a step or holds experts cannot wait"
              + " for it";
      Runnable forward = () -> layer.forward(backend, p.hidden, p.output);
      forward.run();
      assertRefused(forward, forward, "MoE layer" + refusal);
      backend.capture(forward).close();
      try (Tensor logits = backend.f32(1, 8)) {
        Runnable look = () -> logits.copyFrom(layer.routerLogits());
        assertRefused(forward, look, "MoE layer" + refusal);
        backend.capture(look).close();
      }
      Runnable run = () -> p.shared.run(backend, p.hidden, p.output);
      run.run();
      assertRefused(run, run, "feed-forward block" + refusal);
      backend.capture(run).close();
    }
  }

  /** What a step does while another thread's call waits for its end. */
  private void assertRefused(Runnable others, Runnable step, String message)
      throws InterruptedException {
    Thread other = new Thread(others);
    assertThatThrownBy(
            () ->
                backend.capture(
                    () -> {
                      other.start();
                      while (other.getState() != Thread.State.WAITING) Thread.yield();
                      step.run();
                    }))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(message);
    other.join();
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> void throwUnseen(Throwable thrown) throws T {
    throw (T) thrown;
  }
}
