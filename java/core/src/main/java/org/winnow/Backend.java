package org.winnow;

import java.util.List;
import org.winnow.internal.Kernels;

/**
 * Where operations run: handed to an operation's {@code run}, which checks its arguments once and
 * then computes with the backend's kernels. Safe for use from several threads.
 *
 * <p>Only Winnow's own backends have kernels. Operations throw {@link IllegalStateException} for
 * any other subclass.
 */
public abstract class Backend implements AutoCloseable {
  private volatile Kernels kernels;

  /**
   * Opens the backend of that name.
   *
   * @throws BackendUnavailableException with the reason if it cannot run here; another one is never
   *     taken instead
   */
  public static Backend require(String name) {
    return Backends.installed().require(name);
  }

  /**
   * Opens the preferred backend of those that can run here, and logs one line to the {@link
   * System.Logger} {@code org.winnow}: which it is, and why not those that are preferred to it.
   *
   * @throws BackendUnavailableException with all reasons if none can run here
   */
  public static Backend best() {
    return Backends.installed().best(System.getLogger("org.winnow"));
  }

  /** What {@link #require} and {@link #best} choose from, the preferred first. */
  public static List<BackendProvider> providers() {
    return Backends.installed().providers();
  }

  /** Short name, as {@link #require} takes it: {@code "cpu"}. */
  public abstract String name();

  /** One line for logs and {@code winnow doctor}: what it runs on. */
  public abstract String description();

  /**
   * Where the tensors of its operations lie, and the objects that hold tensors for them.
   *
   * <p>What an operation writes there is complete for whatever is issued on the same backend or
   * read through the tensor afterwards; a device's operations may still be running when they
   * return.
   */
  public abstract TensorMemory memory();

  /** A new tensor of zeros in {@link #memory()}. */
  public final Tensor allocate(DType dtype, long... shape) {
    return Tensor.allocate(memory(), dtype, shape);
  }

  /** A new f32 tensor of zeros in {@link #memory()}. */
  public final Tensor f32(long... shape) {
    return allocate(DType.F32, shape);
  }

  /** A new f32 tensor in {@link #memory()} with these values. */
  public final Tensor of(float[] values, long... shape) {
    return Tensor.of(memory(), values, shape);
  }

  /** A new i32 tensor in {@link #memory()} with these values. */
  public final Tensor of(int[] values, long... shape) {
    return Tensor.of(memory(), values, shape);
  }

  /** A new tensor in {@link #memory()} of the same type, shape and elements. */
  public final Tensor copyOf(Tensor source) {
    return Tensor.copyOf(memory(), source);
  }

  /**
   * Captures a step, for instance the decoding of one token, to run it again with less work for the
   * host. Only what its operations do on the device is captured: the step's other effects, on
   * caches' lengths or the program's own variables, happen now and not in {@link CapturedStep#run}.
   *
   * <p>The captured operations do not run now. Whatever waits for the device, allocates or releases
   * its memory or copies to or from the host is refused within the step; run it once before, so
   * that what it needs is there. The tensors that it uses must stay open as long as the captured
   * step. Other threads block until the capture ends, so the step must not wait for them. Inside a
   * step, closing any object and using a layer that another thread is using throw {@link
   * IllegalStateException}.
   *
   * @throws UnsupportedOperationException unless {@link #canCapture()}
   * @throws IllegalStateException if the step does what cannot be captured
   */
  public CapturedStep capture(Runnable step) {
    throw new UnsupportedOperationException(
        "backend " + name() + " captures no steps: call the operations each time");
  }

  /** Whether {@link #capture} is supported: on a device, whose host would be the slower one. */
  public boolean canCapture() {
    return false;
  }

  /** What operations compute with. */
  final Kernels kernels() {
    Kernels installed = kernels;
    if (installed == null)
      throw new IllegalStateException("backend " + name() + " has no kernels of Winnow's");
    return installed;
  }

  final void install(Kernels given) {
    kernels = given;
  }

  /** Waits for running operations, then releases the threads or the device. May be called twice. */
  @Override
  public abstract void close();
}
