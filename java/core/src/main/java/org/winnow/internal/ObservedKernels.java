package org.winnow.internal;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import org.jspecify.annotations.Nullable;

/**
 * Kernels that tell an observer what each call took. A proxy, so that no operation is named here. A
 * call through it costs under a microsecond more and some garbage.
 */
public final class ObservedKernels {
  /** Is told of each call that ran something. Safe for use from several threads. */
  public interface Observer {
    /**
     * Before a call.
     *
     * @return what {@link #end} receives
     */
    Object begin();

    /**
     * After a call, unless it failed or ran nothing.
     *
     * @param regions that several threads shared, see {@link Kernels#numRegions}
     */
    void end(Object begun, String operation, long regions, long nanos);
  }

  private ObservedKernels() {}

  /** The same kernels, with an observer. */
  public static Kernels of(Kernels kernels, Observer observer) {
    return (Kernels)
        Proxy.newProxyInstance(
            Kernels.class.getClassLoader(),
            new Class<?>[] {Kernels.class},
            (proxy, method, arguments) ->
                method.getReturnType() != Status.class
                    ? call(kernels, method, arguments)
                    : observe(kernels, method, arguments, observer));
  }

  private static @Nullable Object observe(
      Kernels kernels, Method method, @Nullable Object[] arguments, Observer observer)
      throws Throwable {
    Object begun = observer.begin();
    long regions = kernels.numRegions();
    long begin = System.nanoTime();
    @Nullable Object status = call(kernels, method, arguments);
    long nanos = System.nanoTime() - begin;
    if (status != null)
      observer.end(begun, method.getName(), kernels.numRegions() - regions, nanos);
    return status;
  }

  private static @Nullable Object call(Kernels kernels, Method method, @Nullable Object[] arguments)
      throws Throwable {
    try {
      return method.invoke(kernels, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
