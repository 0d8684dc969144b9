package org.winnow.fuzz;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * How to get past the checks: for types, objects as a program makes them; for methods, arguments
 * whose shapes fit together. What has no recipe here is called with any values.
 */
final class Recipes {
  /** The receiver, if there is one, then the arguments; null for a call that cannot be made now. */
  interface Arguments extends Function<World, Object[]> {}

  private static final Map<String, Arguments> CALLS = new TreeMap<>();
  private static final Map<Class<?>, Function<World, ?>> OBJECTS =
      new java.util.HashMap<>(); // looked up only: the order is of no use
  private static final Map<Class<?>, Function<World, ?>> MODELS = new java.util.HashMap<>();

  static {
    TensorRecipes.addTo();
    OperationRecipes.addTo();
    FfnRecipes.addTo();
    MoeRecipes.addTo();
    LayerRecipes.addTo();
    LatentRecipes.addTo();
    MemoryRecipes.addTo();
  }

  private Recipes() {}

  static void call(String key, Arguments arguments) {
    if (CALLS.put(key, arguments) != null) throw new IllegalStateException("twice: " + key);
  }

  static <T> void object(Class<T> type, Function<World, ? extends T> maker) {
    OBJECTS.put(type, maker);
  }

  /** What a hostile implementation of an interface mostly does. */
  static <T> void model(Class<T> type, Function<World, ? extends T> maker) {
    MODELS.put(type, maker);
  }

  static Object[] args(Object... arguments) {
    return arguments;
  }

  static Arguments forCall(String key) {
    return CALLS.get(key);
  }

  static java.util.Set<String> keys() {
    return CALLS.keySet();
  }

  /** A new object, which the pool has from now on; null where nobody says how to make one. */
  static Object make(Class<?> type, World world) {
    Function<World, ?> maker = OBJECTS.get(type);
    return maker == null ? null : world.keep(maker.apply(world));
  }

  /** One of the pool, or a new one. */
  static <T> T some(Class<T> type, World world) {
    Object pooled = world.chance(0.7) ? world.pool.any(type, world.random) : null;
    return type.cast(pooled != null ? pooled : make(type, world));
  }

  static Object model(Class<?> type, World world) {
    Function<World, ?> maker = MODELS.get(type);
    return maker == null ? null : maker.apply(world);
  }
}
