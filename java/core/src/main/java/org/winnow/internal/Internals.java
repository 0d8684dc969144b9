package org.winnow.internal;

import java.nio.ByteBuffer;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

/**
 * The parts of {@code org.winnow}'s classes that are not public: kernels of a backend, addresses of
 * tensors. That package hands them over when its first class is initialised.
 */
public abstract class Internals {
  private static Internals instance;

  /** Called once, by {@code org.winnow}. */
  protected static void set(Internals given) {
    instance = given;
  }

  private static Internals get() {
    if (instance == null) TensorMemory.host(); // initialises the class that calls set
    return instance;
  }

  /**
   * What a backend computes with.
   *
   * @throws IllegalStateException if it is a class of somebody else's, which has no kernels
   */
  public static Kernels kernels(Backend backend) {
    return get().kernelsOf(backend);
  }

  /** Gives a new backend its kernels; called by its constructor. */
  public static void install(Backend backend, Kernels kernels) {
    get().installIn(backend, kernels);
  }

  /**
   * Where a tensor's first element lies.
   *
   * @throws IllegalStateException if it is closed
   */
  public static long address(Tensor tensor) {
    return get().addressOf(tensor);
  }

  /** The same, or 0 for null. */
  public static long addressOrNull(Tensor tensor) {
    return tensor == null ? 0 : address(tensor);
  }

  /**
   * A view of a tensor's bytes in the host's memory, little-endian, for use within a {@link
   * NativeCall} alone: nothing else keeps the memory.
   *
   * @throws IllegalStateException as {@link Tensor#asByteBuffer()}
   */
  public static ByteBuffer bytes(Tensor tensor) {
    return get().bytesOf(tensor);
  }

  /** What allocates and copies in this memory. */
  public static RawMemory raw(TensorMemory memory) {
    return get().rawOf(memory);
  }

  /** A memory of that name, for a backend's tensors. */
  public static TensorMemory memory(String name, RawMemory raw) {
    return get().newMemory(name, raw);
  }

  protected abstract Kernels kernelsOf(Backend backend);

  protected abstract void installIn(Backend backend, Kernels kernels);

  protected abstract long addressOf(Tensor tensor);

  protected abstract ByteBuffer bytesOf(Tensor tensor);

  protected abstract RawMemory rawOf(TensorMemory memory);

  protected abstract TensorMemory newMemory(String name, RawMemory raw);
}
