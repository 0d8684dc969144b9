package org.winnow.cuda;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.op.Add;

/**
 * {@link CudaBackendTest} runs this in a separate process. It makes a kernel write outside of all
 * tensors, prints what later calls throw, and closes the backend.
 */
final class PoisonMain {
  private PoisonMain() {}

  public static void main(String[] arguments) {
    GpuSim.isLoaded();
    var backend = new CudaBackend();
    Tensor good = backend.f32(1, 4);
    Tensor bad =
        Tensor.wrap(backend.memory(), Internals.address(good) + (1L << 40), DType.F32, 1, 4);
    Add.run(backend, bad, good);
    print(good::toFloatArray);
    print(() -> Add.run(backend, good, good));
    print(() -> backend.f32(1));
    good.close();
    backend.close();
    System.out.println("closed");
  }

  private static void print(Runnable call) {
    try {
      call.run();
      System.out.println("done");
    } catch (CudaException e) {
      System.out.println(e.getMessage());
    }
  }
}
