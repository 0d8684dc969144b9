package org.winnow;

import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.internal.Kernels;

/**
 * Where operations run. An operation's {@code run} takes a backend, checks its arguments once and
 * calls one of the backend's kernels. Safe for use from several threads.
 *
 * <p>Only Winnow's own backends have kernels. Operations throw {@link IllegalStateException} for
 * any other subclass.
 */
public abstract class Backend implements AutoCloseable {
  private volatile @Nullable Kernels kernels;

  /**
   * Opens the backend of that name.
   *
   * @throws BackendUnavailableException with the reason if it cannot run here; no other backend
   *     replaces it
   */
  public static Backend require(String name) {
    return Backends.installed().require(name);
  }

  /**
   * Opens the most preferred backend that can run here. One line goes to the {@link System.Logger}
   * {@code org.winnow}: the backend's description, and for each more preferred backend why it
   * cannot run.
   *
   * @throws BackendUnavailableException with all reasons if none can run here
   */
  public static Backend best() {
    return Backends.installed().best(System.getLogger("org.winnow"));
  }

  /** All providers that {@link #require} and {@link #best} choose from, most preferred first. */
  public static List<BackendProvider> providers() {
    return Backends.installed().providers();
  }

  /** Short name, as {@link #require} takes it: {@code "cpu"}. */
  public abstract String name();

  /** One line for logs and {@code winnow doctor} that names the hardware in use. */
  public abstract String description();

  /**
   * The memory that holds all tensors of this backend's operations.
   *
   * <p>An operation on a device may return while its kernel still runs. Later operations on the
   * same backend, and reads through a tensor, see its complete result.
   */
  public abstract TensorMemory memory();

  /**
   * The layout in which this backend multiplies matrices of that format fastest. It multiplies
   * those that lie in rows too.
   */
  public WeightLayout weightLayout(WeightFormat format) {
    return WeightLayout.ROWS;
  }

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
   * Captures a step, for instance the decoding of one token, so that it can run again with less
   * work for the host. Only operations on the device are captured. All other effects of the step,
   * such as a cache's new length or changes to the program's variables, happen once, during this
   * call, and not in {@link CapturedStep#run}.
   *
   * <p>The captured operations do not run during this call. Inside a step, calls that wait for the
   * device, allocate or release its memory, or copy to or from the host fail. Run the step once
   * before its capture, so that all memory is allocated. Tensors that the step uses must stay open
   * as long as the captured step. Other threads block until the capture ends, so the step must not
   * wait for them. Inside a step, closing any object and using a layer that another thread is using
   * throw {@link IllegalStateException}.
   *
   * @throws UnsupportedOperationException unless {@link #canCapture()}
   * @throws IllegalStateException if the step makes a call that cannot be captured
   */
  public CapturedStep capture(Runnable step) {
    throw new UnsupportedOperationException(
        "backend " + name() + " cannot capture steps: call the operations each time");
  }

  /**
   * Whether {@link #capture} is supported. Devices support it, because issuing many small
   * operations can take the host longer than running them takes the device.
   */
  public boolean canCapture() {
    return false;
  }

  /** The kernels that operations call. */
  final Kernels kernels() {
    @Nullable Kernels installed = kernels;
    if (installed == null)
      throw new IllegalStateException(
          "backend " + name() + " has no kernels: only Winnow's own backends run operations");
    return installed;
  }

  final void install(Kernels given) {
    kernels = given;
  }

  /** Waits for running operations, then releases the threads or the device. May be called twice. */
  @Override
  public abstract void close();
}
