package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.winnow.CapturedStep;
import org.winnow.internal.Internals;

class ScratchTest {
  private final CudaBackend backend = new CudaBackend();
  private final CudaContext context = backend.context();
  private final Scratch scratch =
      new Scratch(context, (CudaMemory) Internals.raw(backend.memory()));
  private final long own = backend.usedBytes();

  @AfterEach
  void close() {
    backend.close();
  }

  private long address(long neededBytes) {
    try (var entry = context.enter("a test")) {
      return scratch.address(neededBytes);
    }
  }

  private void assertUsed(long expectedBytes) {
    assertThat(backend.usedBytes() - own).isEqualTo(expectedBytes);
  }

  @Test
  void whatWasOutgrownIsReleased() {
    long first = address(1000);
    assertUsed(1000);
    assertThat(address(999)).isEqualTo(first);
    address(1001);
    assertUsed(1500);
    address(4000);
    assertUsed(4000);
  }

  @Test
  void whatACapturedStepMayHoldStaysUntilItIsClosed() {
    address(1000);
    CapturedStep step = backend.capture(() -> address(1000));
    address(2000);
    assertUsed(1000 + 2000);
    address(4000); // no step has seen the 2000
    assertUsed(1000 + 4000);
    step.close();
    address(1);
    assertUsed(4000);
  }

  @Test
  void itDoesNotGrowInACapture() {
    address(1000);
    assertThatThrownBy(() -> backend.capture(() -> address(1001)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage(
            "allocating device memory is not possible while a step is being captured: do it before"
                + " or after");
    address(1000);
    assertUsed(1000);
  }
}
