package org.winnow.cuda;

import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.models.GenerateOptions;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.Session;
import org.winnow.models.TokenListener;
import org.winnow.op.Add;

/**
 * {@link CudaBackendTest} runs this in a separate process. It closes a model with two sequences
 * twice, after an error on the device that no call has detected yet. It prints what each close
 * throws and what the sequences answer afterwards.
 *
 * <p>Argument: path of the model.
 */
final class PoisonedModelMain {
  private PoisonedModelMain() {}

  public static void main(String[] arguments) {
    GpuSim.isLoaded();
    var backend = new CudaBackend();
    LanguageModel model =
        LanguageModel.open(Path.of(arguments[0]), LoadOptions.defaults().withBackend(backend));
    List<Session> sessions = List.of(model.newSession(), model.newSession()); // left open
    sessions.forEach(PoisonedModelMain::generate);
    Tensor good = backend.f32(1, 4);
    Tensor bad =
        Tensor.wrap(backend.memory(), Internals.address(good) + (1L << 40), DType.F32, 1, 4);
    Add.run(backend, bad, good);
    print(model::close);
    print(model::close);
    for (Session session : sessions) print(() -> generate(session));
    backend.close();
    long readers =
        Thread.getAllStackTraces().keySet().stream()
            .filter(t -> t.getName().startsWith("winnow-expert-reader"))
            .peek(PoisonedModelMain::join)
            .filter(Thread::isAlive)
            .count();
    System.out.println(readers + " readers");
  }

  /** Captured steps, too. */
  private static void generate(Session session) {
    session.generate(
        new int[] {0, 48}, GenerateOptions.greedy(4).withStopIds(Set.of()), TokenListener.NONE);
  }

  private static void join(Thread reader) {
    try {
      reader.join(10_000);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void print(Runnable call) {
    try {
      call.run();
      System.out.println("done");
    } catch (RuntimeException e) {
      System.out.println(e.getMessage());
    }
  }
}
