package org.winnow;

import java.nio.ByteBuffer;
import org.winnow.internal.Internals;
import org.winnow.internal.Kernels;
import org.winnow.internal.RawMemory;

/** Gives {@code org.winnow.internal} access to the package-private parts of this package. */
final class InternalAccess extends Internals {
  private InternalAccess() {}

  static void install() {
    set(new InternalAccess());
  }

  @Override
  protected Kernels kernelsOf(Backend backend) {
    return backend.kernels();
  }

  @Override
  protected void installIn(Backend backend, Kernels kernels) {
    backend.install(kernels);
  }

  @Override
  protected long addressOf(Tensor tensor) {
    return tensor.openAddress("tensor");
  }

  @Override
  protected long argumentOf(Tensor tensor) {
    return tensor.requiredAddress();
  }

  @Override
  protected ByteBuffer bytesOf(Tensor tensor) {
    return tensor.bytes();
  }

  @Override
  protected RawMemory rawOf(TensorMemory memory) {
    return memory.raw();
  }

  @Override
  protected TensorMemory newMemory(String name, RawMemory raw) {
    return new TensorMemory(name, raw);
  }
}
