package org.winnow.internal;

import java.nio.ByteBuffer;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

/**
 * Access to package-private parts of {@code org.winnow}: a backend's kernels, a tensor's address.
 * That package provides the access in a static initialiser.
 */
public abstract class Internals {
  private static @Nullable Internals instance;

  /** {@code org.winnow} calls this once. */
  protected static void set(Internals given) {
    instance = given;
  }

  private static Internals get() {
    if (instance == null) TensorMemory.host(); // initialises the class that calls set
    return Objects.requireNonNull(instance);
  }

  /**
   * The kernels of a backend.
   *
   * @throws IllegalStateException if it is a foreign subclass, which has no kernels
   */
  public static Kernels kernels(Backend backend) {
    return get().kernelsOf(backend);
  }

  /**
   * Gives a new backend its kernels. The backend's constructor calls this. Each call is an event of
   * Java Flight Recorder if a recording runs by now.
   */
  public static void install(Backend backend, Kernels kernels) {
    get().installIn(backend, OperationEvents.recorded(kernels));
  }

  /**
   * Address of a tensor's first element.
   *
   * @throws IllegalStateException if it is closed
   */
  public static long address(Tensor tensor) {
    return get().addressOf(tensor);
  }

  /** As {@link #address}; 0 for null. */
  public static long addressOrNull(@Nullable Tensor tensor) {
    return tensor == null ? 0 : address(tensor);
  }

  /**
   * Address of an argument that the operation has required to be open since its {@link
   * NativeCall#enter}. It is not checked again: each check is a volatile read, after which the
   * compiler loads anew whatever it had in registers.
   */
  public static long argument(Tensor required) {
    return get().argumentOf(required);
  }

  /** As {@link #argument}; 0 for null. */
  public static long argumentOrNull(@Nullable Tensor required) {
    return required == null ? 0 : argument(required);
  }

  /**
   * A little-endian view of a tensor's bytes in host memory. Use it within a {@link NativeCall}
   * only: nothing else keeps the memory.
   *
   * @throws IllegalStateException as {@link Tensor#asByteBuffer()}
   */
  public static ByteBuffer bytes(Tensor tensor) {
    return get().bytesOf(tensor);
  }

  /** The allocator and copier of a memory. */
  public static RawMemory raw(TensorMemory memory) {
    return get().rawOf(memory);
  }

  /** Creates a memory for a backend's tensors. */
  public static TensorMemory memory(String name, RawMemory raw) {
    return get().newMemory(name, raw);
  }

  protected abstract Kernels kernelsOf(Backend backend);

  protected abstract void installIn(Backend backend, Kernels kernels);

  protected abstract long addressOf(Tensor tensor);

  protected abstract long argumentOf(Tensor tensor);

  protected abstract ByteBuffer bytesOf(Tensor tensor);

  protected abstract RawMemory rawOf(TensorMemory memory);

  protected abstract TensorMemory newMemory(String name, RawMemory raw);
}
