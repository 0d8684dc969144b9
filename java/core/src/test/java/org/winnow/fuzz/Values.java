package org.winnow.fuzz;

import java.lang.reflect.Array;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.LongBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;

/** Any value of a parameter's type: what nobody would pass on purpose. */
final class Values {
  private final World world;
  private final Hostile hostile;

  Values(World world, Hostile hostile) {
    this.world = world;
    this.hostile = hostile;
  }

  Object any(Class<?> type, Type generic) {
    if (!type.isPrimitive() && world.chance(0.03)) return null;
    if (type == int.class || type == Integer.class) return anyInt();
    if (type == long.class || type == Long.class) return anyLong();
    if (type == boolean.class || type == Boolean.class) return world.random.nextBoolean();
    if (type == short.class || type == Short.class) return (short) anyInt();
    if (type == float.class || type == Float.class) return (float) anyDouble();
    if (type == double.class || type == Double.class) return anyDouble();
    if (type == String.class) return text();
    if (type == Tensor.class) return anyTensor();
    if (type == TensorMemory.class)
      return world.chance(0.8) ? TensorMemory.host() : World.ELSEWHERE;
    if (type == Path.class) return FuzzFiles.any(world);
    if (type == ByteBuffer.class) return buffer();
    if (type == LongBuffer.class) return LongBuffer.allocate(world.below(5));
    if (type == Throwable.class) return new Hostile.Thrown("a cause");
    if (type.isEnum()) return world.pick(type.getEnumConstants());
    if (type.isArray()) return array(type.getComponentType());
    if (Collection.class == type || List.class == type) return list(generic);
    if (type == Object.class) return world.chance(0.5) ? "text" : anyTensor();
    Object pooled = world.pool.any(type, world.random);
    if (type.isInterface()) {
      boolean ours = type.getPackageName().startsWith("org.winnow");
      if (pooled != null && !(ours && world.chance(0.2))) return pooled;
      return hostile.implement(type);
    }
    if (pooled != null) return pooled;
    return Modifier.isAbstract(type.getModifiers()) ? null : Recipes.make(type, world);
  }

  int anyInt() {
    double kind = world.random.nextDouble();
    if (kind < 0.65) return world.below(9);
    if (kind < 0.90) return (int) extent();
    return world.oneOf(
        -1, Integer.MIN_VALUE, Integer.MAX_VALUE, Integer.MAX_VALUE - 1, 1 << 30, 65536, 1 << 20);
  }

  long anyLong() {
    if (world.chance(0.93)) return anyInt();
    return world.pick(
        new Long[] {
          Long.MIN_VALUE, Long.MAX_VALUE, Long.MAX_VALUE - 1, 1L << 32, 1L << 40, 1L << 62, -4096L
        });
  }

  double anyDouble() {
    if (world.chance(0.75)) return world.pick(new Double[] {0.0, 0.5, 1.0, 0.1, 2.0, 0.9, 10000.0});
    return world.pick(
        new Double[] {
          -1.0,
          -0.0,
          Double.NaN,
          Double.POSITIVE_INFINITY,
          Double.NEGATIVE_INFINITY,
          1e-300,
          1e300,
          1e38,
          Double.MIN_VALUE
        });
  }

  /** An extent of a tensor that exists. */
  private long extent() {
    Tensor tensor = (Tensor) world.pool.any(Tensor.class, world.random);
    if (tensor == null || tensor.rank() == 0) return world.below(5);
    long extent = tensor.dim(world.below(tensor.rank()));
    return world.chance(0.7) ? extent : extent + world.below(3) - 1;
  }

  private String text() {
    return world.pick(
        new String[] {"cpu", "cuda", "", "input", "a", "gate.0", "up.0", "down.0", "F32", "none"});
  }

  /** Open or closed, here or elsewhere, of any type and a small shape. */
  private Tensor anyTensor() {
    Tensor pooled = (Tensor) world.pool.any(Tensor.class, world.random);
    if (pooled != null && world.chance(0.7)) return pooled;
    long[] shape = smallShape();
    if (world.chance(0.3)) {
      Tensor overlapping = world.overlapping(world.pick(DType.values()), shape);
      if (overlapping != null) return overlapping;
    }
    boolean here = world.chance(0.8);
    TensorMemory memory = here ? TensorMemory.host() : World.ELSEWHERE;
    return world.keep(Tensor.allocate(memory, world.pick(DType.values()), shape));
  }

  private long[] smallShape() {
    long[] shape = new long[world.oneOf(0, 1, 1, 2, 2, 2, 3, 3, 4)];
    for (int i = 0; i < shape.length; i++) shape[i] = world.oneOf(1, 2, 3, 4, 8, 0, 17);
    return shape;
  }

  /** Mostly of few elements; now and then of more than any machine holds. */
  long[] shape() {
    if (world.chance(0.9)) return smallShape();
    long[] shape = smallShape();
    for (int i = 0; i < shape.length; i++) {
      if (world.chance(0.5))
        shape[i] =
            world.pick(
                new Long[] {-1L, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 40, 1L << 62, 1L << 45});
    }
    return shape;
  }

  private ByteBuffer buffer() {
    int capacity = world.oneOf(0, 4, 64, 4096);
    ByteBuffer buffer =
        world.chance(0.9) ? ByteBuffer.allocateDirect(capacity) : ByteBuffer.allocate(capacity);
    if (world.chance(0.9)) buffer.order(ByteOrder.nativeOrder());
    if (world.chance(0.3)) buffer.position(world.below(capacity + 1));
    return world.chance(0.05) ? buffer.asReadOnlyBuffer() : buffer;
  }

  private Object array(Class<?> component) {
    if (component == long.class) return shape();
    int length = world.oneOf(0, 1, 2, 3, 4, 8);
    Object array = Array.newInstance(component, length);
    for (int i = 0; i < length; i++) Array.set(array, i, any(component, component));
    return array;
  }

  private Object list(Type generic) {
    List<Object> list = new ArrayList<>();
    if (generic instanceof ParameterizedType of
        && of.getActualTypeArguments()[0] instanceof Class<?> element) {
      for (int i = world.below(4); i > 0; i--) list.add(any(element, element));
    }
    return list;
  }
}
