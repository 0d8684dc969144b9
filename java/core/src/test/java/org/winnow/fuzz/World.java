package org.winnow.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Random;
import org.winnow.AnotherMemory;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;

/** One lane's source of arguments: a seeded generator over the objects of a shared {@link Pool}. */
final class World {
  static final TensorMemory ELSEWHERE = AnotherMemory.create();

  /** Wrapped at any offset and under any type: tensors of it overlap each other. */
  private static final ByteBuffer OVERLAPPED = ByteBuffer.allocateDirect(1 << 16);

  private static final int[] ROWS = {1, 1, 2, 2, 3, 4, 5, 8, 17, 33, 0};
  private static final int[] WIDTHS = {1, 2, 2, 4, 4, 8, 3, 7, 16, 31, 64, 96, 0};
  private static final DType[] FLOATING = {DType.F32, DType.F32, DType.BF16, DType.F16};

  final Random random;
  final Pool pool;
  final Path folder;

  /** Makes hostile implementations; null where one of these asks. */
  Hostile hostile;

  Taint taint;

  /** What the lane holds, and what a layer chose it for; or null. */
  Object held;

  Tensor heldInput;

  World(long seed, Pool pool, Path folder) {
    this.random = new Random(seed);
    this.pool = pool;
    this.folder = folder;
  }

  boolean chance(double share) {
    return random.nextDouble() < share;
  }

  int below(int bound) {
    return random.nextInt(bound);
  }

  int oneOf(int... values) {
    return values[random.nextInt(values.length)];
  }

  /** In any format, over new tensors of zeros. */
  Matrix matrix(WeightFormat format, int rows, int columns) {
    Tensor[] planes = new Tensor[format.planes()];
    planes[0] = tensor(DType.I8, format.planeBytes(0, rows, columns));
    for (int p = 1; p < planes.length; p++) planes[p] = f32(rows);
    return new Matrix(format, rows, columns, planes);
  }

  <T> T pick(T[] values) {
    return values[random.nextInt(values.length)];
  }

  int rows() {
    return pick2(ROWS, 0.93);
  }

  int width() {
    return pick2(WIDTHS, 0.95);
  }

  /** At least 1. */
  int size() {
    return Math.max(1, oneOf(1, 2, 3, 4, 4, 8, 16));
  }

  /** The last of them seldom. */
  private int pick2(int[] values, double likely) {
    return chance(likely) ? values[random.nextInt(values.length - 1)] : values[values.length - 1];
  }

  DType floating() {
    return pick(FLOATING);
  }

  DType f32OrBf16() {
    return chance(0.7) ? DType.F32 : DType.BF16;
  }

  <T> T keep(T object) {
    pool.add(object, random);
    return object;
  }

  /** Mostly open; where the pool has only closed ones, a new one. */
  Backend backend() {
    for (int i = 0; i < 4; i++) {
      Object found = pool.any(CpuBackend.class, random);
      if (found != null && (isOpen((CpuBackend) found) || chance(0.02))) return (Backend) found;
    }
    InstructionSet best = InstructionSet.best();
    InstructionSet[] supported =
        java.util.Arrays.stream(InstructionSet.values())
            .filter(set -> set.ordinal() <= best.ordinal() && set.isSupported())
            .toArray(InstructionSet[]::new);
    return keep(new CpuBackend(pick(supported), 1 + below(2)));
  }

  private static boolean isOpen(CpuBackend backend) {
    try {
      org.winnow.cpu.Probe.readBytesPerSecond(backend, ONE_BYTE);
      return true;
    } catch (IllegalStateException e) {
      return false;
    }
  }

  private static final Tensor ONE_BYTE = Tensor.allocate(DType.I8, 1);

  Tensor f32(long... shape) {
    return tensor(DType.F32, shape);
  }

  /** Of this type and shape, in the host's memory: new, from the pool, a view, or wrapped. */
  Tensor tensor(DType dtype, long... shape) {
    if (chance(0.25)) {
      Tensor found = like(dtype, shape);
      if (found != null) return found;
    }
    double kind = random.nextDouble();
    if (kind < 0.10) {
      Tensor wrapped = overlapping(dtype, shape);
      if (wrapped != null) return wrapped;
    }
    if (kind < 0.25 && shape.length > 0) {
      long[] larger = shape.clone();
      larger[0] += 2;
      Tensor whole = keep(fill(Tensor.allocate(dtype, larger)));
      return keep(whole.slice(1, 1 + shape[0]));
    }
    return keep(fill(Tensor.allocate(dtype, shape)));
  }

  private Tensor like(DType dtype, long[] shape) {
    for (int i = 0; i < 6; i++) {
      Tensor found = (Tensor) pool.any(Tensor.class, random);
      if (found == null) return null;
      if (found.dtype() == dtype
          && found.memory().isHost()
          && !found.isClosed()
          && java.util.Arrays.equals(found.shape(), shape)) return found;
    }
    return null;
  }

  /** In the memory that all such tensors share; null if it is too small. */
  Tensor overlapping(DType dtype, long... shape) {
    long bytes = dtype.sizeBytes();
    for (long extent : shape) bytes *= extent;
    if (bytes > OVERLAPPED.capacity()) return null;
    int room = OVERLAPPED.capacity() - (int) bytes;
    int offset = room == 0 ? 0 : below(Math.min(room, 512));
    if (chance(0.8)) offset = offset / 64 * 64;
    return keep(
        Tensor.wrap(
            OVERLAPPED.duplicate().order(ByteOrder.nativeOrder()).position(offset), dtype, shape));
  }

  /** Small numbers, now and then one that is none. */
  Tensor fill(Tensor tensor) {
    if (tensor.size() > 4096) return tensor;
    for (long i = 0; i < tensor.size(); i++) {
      switch (tensor.dtype()) {
        case F32, BF16, F16 -> tensor.setFloat(i, value());
        case I32 -> tensor.setInt(i, below(4));
        case I64, U64 -> tensor.setLong(i, below(4));
        default -> {}
      }
    }
    return tensor;
  }

  float value() {
    if (chance(0.002)) return pick(new Float[] {Float.NaN, Float.POSITIVE_INFINITY, 1e38f, -0f});
    return (random.nextInt(17) - 8) * 0.25f;
  }

  /** i32 values from 0 to below a bound, rarely one outside. */
  Tensor indices(long count, long bound) {
    Tensor tensor = keep(Tensor.allocate(DType.I32, count));
    for (long i = 0; i < count; i++)
      tensor.setInt(i, chance(0.005) ? hostileInt() : bound < 1 ? 0 : below((int) bound));
    return tensor;
  }

  int hostileInt() {
    return oneOf(-1, Integer.MIN_VALUE, Integer.MAX_VALUE, 1 << 20, 64, 7);
  }
}
