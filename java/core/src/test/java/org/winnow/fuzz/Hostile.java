package org.winnow.fuzz;

import java.io.IOException;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Implementations of interfaces that answer with anything: wrong numbers, null, exceptions, and
 * calls of the API from inside the call.
 */
final class Hostile {
  /** What hostile code throws; it may arrive at the caller as it is, or as a cause. */
  static final class Thrown extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Thrown(String message) {
      super(message);
    }
  }

  /** What {@link #implement} needs of the fuzzer. */
  interface Caller {
    /** Calls some method of the API. */
    void callSomething(World world);

    Object any(World world, Class<?> type, java.lang.reflect.Type generic);
  }

  private static final AtomicLong MADE = new AtomicLong();

  private final World world;
  private final Caller caller;
  private final long seed;

  Hostile(World world, Caller caller, long seed) {
    this.world = world;
    this.caller = caller;
    this.seed = seed;
  }

  /** Each has a temper of its own: how often it throws and how often it calls back. */
  Object implement(Class<?> type) {
    Object model = world.chance(0.7) ? Recipes.model(type, world) : null;
    double throwing = world.pick(new Double[] {0.0, 0.0, 0.02, 0.3});
    double reentrant = world.pick(new Double[] {0.0, 0.0, 0.0, 0.05});
    double lying = model == null ? 1 : world.pick(new Double[] {0.0, 0.05, 0.3});
    // its own generator: winnow's threads call it too
    World own = new World(seed ^ (MADE.incrementAndGet() << 20), world.pool, world.folder);
    ThreadLocal<int[]> depth = ThreadLocal.withInitial(() -> new int[1]);
    InvocationHandler handler =
        (proxy, method, arguments) -> {
          if (method.getDeclaringClass() == Object.class) return ofObject(proxy, method, arguments);
          Random random = own.random;
          synchronized (random) {
            if (random.nextDouble() < throwing) throw thrown(method, random);
          }
          int[] inside = depth.get();
          if (inside[0] == 0 && random.nextDouble() < reentrant) {
            inside[0]++;
            try {
              caller.callSomething(own);
            } finally {
              inside[0]--;
            }
          }
          boolean lies = random.nextDouble() < lying;
          if (!lies && model != null) {
            try {
              return method.invoke(model, arguments);
            } catch (java.lang.reflect.InvocationTargetException e) {
              throw e.getCause();
            }
          }
          Class<?> result = method.getReturnType();
          if (result == void.class) return null;
          // what a type argument says; another type would be the hostile code's own mistake
          if (type == java.util.function.IntFunction.class) return java.util.List.of();
          if (result == Object.class) return random.nextInt(8) == 0 ? null : "gate.0";
          return caller.any(own, result, method.getGenericReturnType());
        };
    return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, handler);
  }

  private static Throwable thrown(Method method, Random random) {
    for (Class<?> declared : method.getExceptionTypes()) {
      if (declared == IOException.class && random.nextBoolean())
        return new IOException("hostile " + method.getName());
    }
    return new Thrown("hostile " + method.getName());
  }

  private static Object ofObject(Object proxy, Method method, Object[] arguments) {
    return switch (method.getName()) {
      case "equals" -> proxy == arguments[0];
      case "hashCode" -> System.identityHashCode(proxy);
      default -> "hostile " + proxy.getClass().getInterfaces()[0].getSimpleName();
    };
  }
}
