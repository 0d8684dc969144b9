package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.RmsNorm;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * One thread uses objects repeatedly while another closes one of them. The user must get
 * IllegalStateException, never a crash, and close() must return only after the last read of the
 * memory. Tensors in host memory have 2 MiB or more, so freeing unmaps them at once and a later
 * read would end this JVM.
 */
@ContractTest
public class CloseWhileRunningTest {
  private static final int ROUNDS = BackendsUnderTest.sized(4, 10, 40);
  private static final int ROWS = BackendsUnderTest.sized(16, 64, 256);
  private static final int COLUMNS = BackendsUnderTest.sized(128, 256, 2048);
  private static final int WIDTH = BackendsUnderTest.sized(64, 96, 512); // of an expert

  private final Random random = new Random(17);

  /**
   * The objects used in one round and the one that is closed at the same time. All objects are
   * closed at the end, so that one is closed twice.
   */
  private record Scene(Runnable use, AutoCloseable closed, List<AutoCloseable> all) {}

  @Test
  void aTensorThatIsRead() {
    race(
        () -> {
          Backend backend = BackendsUnderTest.shared();
          Tensor tensor = backend.f32(ROWS, COLUMNS);
          return new Scene(
              () -> tensor.getFloat(random.nextInt(ROWS * COLUMNS)), tensor, List.of(tensor));
        });
  }

  @Test
  void aTensorThatIsCopied() {
    race(
        () -> {
          Backend backend = BackendsUnderTest.shared();
          Tensor source = backend.f32(ROWS, COLUMNS);
          Tensor target = backend.f32(ROWS, COLUMNS);
          return new Scene(
              () -> target.copyFrom(source),
              random.nextBoolean() ? source : target,
              List.of(source, target));
        });
  }

  @Test
  void argumentsOfAnOperationAndItsBackend() {
    race(
        () -> {
          Backend backend = backend();
          Tensor input = backend.f32(ROWS, COLUMNS);
          Tensor weight = backend.f32(COLUMNS);
          Tensor output = backend.f32(ROWS, COLUMNS);
          List<AutoCloseable> all = List.of(input, weight, output, backend);
          return new Scene(() -> RmsNorm.run(backend, input, weight, output, 1), any(all), all);
        });
  }

  @Test
  void theMatrixOfALinearMap() {
    race(
        () -> {
          Backend backend = backend();
          Tensor weight = backend.f32(ROWS, COLUMNS);
          Tensor input = backend.f32(2, COLUMNS);
          Tensor output = backend.f32(2, ROWS);
          Linear linear = new Linear(weight, null);
          List<AutoCloseable> all = List.of(weight, linear, input, output, backend);
          return new Scene(() -> linear.run(backend, input, output), any(all.subList(0, 2)), all);
        });
  }

  @Test
  void aRouterAndWhatItWrites() {
    race(
        () -> {
          Backend backend = backend();
          Tensor logits = backend.f32(2 * COLUMNS, ROWS);
          Routing routing = new Routing(backend.memory());
          TopKRouter router = TopKRouter.softmax(2).build();
          List<AutoCloseable> all = List.of(logits, routing, backend);
          return new Scene(() -> router.run(backend, logits, routing), any(all), all);
        });
  }

  @Test
  void anyPartOfAMoeLayer() {
    race(
        () -> {
          Backend backend = backend();
          int experts = 4;
          Tensor routerWeight = backend.f32(experts, WIDTH);
          Tensor gate = backend.f32(experts, WIDTH, WIDTH);
          Tensor up = backend.f32(experts, WIDTH, WIDTH);
          Tensor down = backend.f32(experts, WIDTH, WIDTH);
          Tensor hidden = backend.f32(8, WIDTH);
          Tensor output = backend.f32(8, WIDTH);
          Linear router = new Linear(routerWeight, null);
          ResidentExperts resident = ResidentExperts.stacked(gate, up, down);
          MoeLayer layer =
              MoeLayer.builder(router, TopKRouter.softmax(2).build(), resident).build();
          List<AutoCloseable> all =
              List.of(
                  layer, resident, router, output, hidden, down, up, gate, routerWeight, backend);
          return new Scene(() -> layer.forward(backend, hidden, output), any(all), all);
        });
  }

  private void race(Supplier<Scene> scenes) {
    for (int round = 0; round < ROUNDS; round++) {
      Scene scene = scenes.get();
      List<Throwable> thrown = new ArrayList<>();
      AtomicBoolean started = new AtomicBoolean();
      Thread user =
          new Thread(
              () -> {
                try {
                  for (; ; ) {
                    scene.use.run();
                    started.set(true);
                  }
                } catch (Throwable e) {
                  thrown.add(e);
                }
              });
      user.start();
      while (!started.get() && user.isAlive()) LockSupport.parkNanos(20_000);
      LockSupport.parkNanos(random.nextInt(300_000));
      close(scene.closed);
      join(user);
      assertThat(thrown).singleElement().isInstanceOf(IllegalStateException.class);
      scene.all.forEach(CloseWhileRunningTest::close);
    }
  }

  private AutoCloseable any(List<AutoCloseable> all) {
    return all.get(random.nextInt(all.size()));
  }

  private static Backend backend() {
    return BackendsUnderTest.standard().opener().get();
  }

  private static void close(AutoCloseable resource) {
    try {
      resource.close();
    } catch (Exception e) {
      throw new AssertionError(resource + " must close", e);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join(60_000);
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    assertThat(thread.isAlive()).as("the use ended").isFalse();
  }
}
