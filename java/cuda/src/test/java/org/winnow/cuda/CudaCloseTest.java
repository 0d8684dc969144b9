package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.bytedeco.cuda.global.cudart.cuDevicePrimaryCtxGetState;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.winnow.internal.NativeCall;

class CudaCloseTest {
  /** The first has marked the backend closed and waits for a call: so does the second. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void everyoneWhoClosesABackendWaitsUntilItIsReleased() throws InterruptedException {
    var backend = new CudaBackend();
    Thread first = new Thread(backend::close);
    boolean[] active = {true};
    Thread second =
        new Thread(
            () -> {
              backend.close();
              active[0] = isContextActive();
            });
    NativeCall running = null;
    try (var entry = backend.context().enter("a test")) {
      first.start();
      while (first.getState() != Thread.State.WAITING) Thread.yield(); // for the context
      running = NativeCall.enter();
    }
    try {
      while (!backend.context().isClosed()) Thread.yield();
      second.start();
      second.join(300);
      assertThat(second.isAlive()).isTrue();
    } finally {
      running.exit();
    }
    first.join();
    second.join();
    assertThat(active[0]).isFalse();
  }

  private static boolean isContextActive() {
    int[] flags = new int[1];
    int[] active = new int[1];
    CudaError.check(cuDevicePrimaryCtxGetState(0, flags, active), "cuDevicePrimaryCtxGetState");
    return active[0] != 0;
  }
}
