package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.SyntheticExperts;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/** A thread that holds a cache's experts, beside a layer that waits for them. */
class HeldExpertsTest {
  @TempDir Path folder;

  @Test
  @Timeout(60)
  void theHolderIsRefusedALayerThatWaitsForItsExperts() throws IOException, InterruptedException {
    SyntheticExperts stored =
        new SyntheticExperts(
            folder.resolve("weights"), SyntheticExperts.Layout.SEPARATE, DType.F32, 1, 4, 8, 8, 8);
    try (Backend backend = new CpuBackend(InstructionSet.best(), 1);
        Checkpoint checkpoint = new Checkpoint(stored.tensors());
        ExpertCache cache =
            new ExpertCache(stored.store(checkpoint), 1 << 20, EvictionPolicy.lru());
        Tensor routerWeight = Tensor.f32(4, 8);
        Linear router = new Linear(routerWeight, null);
        MoeLayer layer =
            MoeLayer.builder(router, TopKRouter.softmax(1).build(), cache.layer(0)).build();
        Tensor hidden = Tensor.f32(1, 8);
        Tensor output = Tensor.f32(1, 8);
        Routing routing = new Routing()) {
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Thread other = new Thread(() -> layer.forward(backend, hidden, output));
      other.setUncaughtExceptionHandler((thread, thrown) -> failure.set(thrown));
      cache.layer(0).acquire(new int[] {0}, 1);
      other.start();
      while (other.getState() != Thread.State.TIMED_WAITING) Thread.sleep(1); // for the experts
      assertThatThrownBy(() -> layer.route(backend, hidden, routing))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("is in use by another thread");
      cache.layer(0).release();
      other.join();
      assertThat(failure.get()).isNull();
      layer.route(backend, hidden, routing); // nothing is held any more
    }
  }
}
