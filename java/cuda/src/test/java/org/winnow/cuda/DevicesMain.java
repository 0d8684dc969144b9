package org.winnow.cuda;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.Add;

/**
 * {@link CudaBackendTest} runs this in a separate process, on a simulated GPU with two small
 * devices. It prints the devices, and the message for a tensor of one device that is used on the
 * other.
 */
final class DevicesMain {
  private static final long MIB = 1L << 20;

  private DevicesMain() {}

  public static void main(String[] arguments) {
    if (!GpuSim.isLoaded()) throw new IllegalStateException(GpuSim.cause());
    GpuSim.configureDevices(2, 90, 64 * MIB);
    for (CudaDevice device : CudaDevice.all()) System.out.println(device);
    try (var first = new CudaBackend();
        var second = new CudaBackend(1, Long.MAX_VALUE);
        var other = new CudaBackend(1, Long.MAX_VALUE)) {
      Tensor tensor = first.f32(1, 4);
      print(() -> Add.run(second, tensor, tensor));
      second.allocate(DType.I8, 40 * MIB);
      print(() -> other.allocate(DType.I8, 40 * MIB));
      print(() -> first.allocate(DType.I8, 40 * MIB));
    }
  }

  private static void print(Runnable call) {
    try {
      call.run();
      System.out.println("done");
    } catch (IllegalArgumentException | OutOfMemoryError e) {
      System.out.println(e.getMessage());
    }
  }
}
