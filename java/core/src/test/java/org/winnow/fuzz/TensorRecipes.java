package org.winnow.fuzz;

import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.internal.Internals;

/** Tensors and backends. */
final class TensorRecipes {
  /** Memory for wrapped addresses, valid for as long as this class is. */
  private static final Tensor ADDRESSED = Tensor.allocate(DType.I8, 1 << 16);

  private TensorRecipes() {}

  static void addTo() {
    Recipes.object(Backend.class, World::backend);
    Recipes.object(CpuBackend.class, world -> (CpuBackend) world.backend());
    Recipes.object(TensorMemory.class, world -> TensorMemory.host());
    Recipes.object(Tensor.class, TensorRecipes::open);
    Recipes.model(
        org.winnow.BackendProvider.class, world -> new org.winnow.cpu.CpuBackendProvider());
    Recipes.object(Matrix.class, w -> w.matrix(w.pick(WeightFormat.values()), w.size(), w.size()));
    call(
        "Matrix.new(WeightFormat,long,long,Tensor[])",
        w -> {
          Matrix like = w.matrix(w.pick(WeightFormat.values()), w.size(), w.size());
          Tensor[] planes = new Tensor[like.format().planes()];
          for (int p = 0; p < planes.length; p++) planes[p] = like.plane(p);
          return args(like.format(), like.rows(), like.columns(), planes);
        });
    call(
        "Matrix.new(WeightFormat,WeightLayout,long,long,Tensor[])",
        w -> {
          Tensor like = matrixTensor(w);
          WeightFormat format = WeightFormat.of(like.dtype());
          WeightLayout layout = w.pick(WeightLayout.values());
          return args(format, layout, like.dim(0), like.dim(1), new Tensor[] {like});
        });
    call(
        "Matrix.require(String,WeightFormat,WeightLayout,long,long)",
        w -> {
          Matrix matrix = w.matrix(w.pick(WeightFormat.values()), w.size(), w.size());
          return args(
              matrix, "m", matrix.format(), matrix.layout(), matrix.rows(), matrix.columns());
        });
    call(
        "ExpertMatrices.new(TensorMemory,WeightFormat,WeightLayout,DType,int,long,long,boolean,boolean)",
        w ->
            args(
                TensorMemory.host(),
                w.pick(WeightFormat.values()),
                w.pick(WeightLayout.values()),
                w.chance(0.5) ? DType.F32 : DType.BF16,
                w.size(),
                (long) w.size(),
                (long) w.size(),
                w.chance(0.5),
                w.chance(0.5)));
    call("WeightLayout.arrange(Tensor)", w -> args(w.pick(WeightLayout.values()), matrixTensor(w)));
    call(
        "Matrix.of(WeightLayout,Tensor)",
        w -> args(w.pick(WeightLayout.values()), matrixTensor(w)));
    call(
        "Matrix.require(String,WeightFormat,long,long)",
        w -> {
          Matrix matrix = w.matrix(w.pick(WeightFormat.values()), w.size(), w.size());
          return args(matrix, "m", matrix.format(), matrix.rows(), matrix.columns());
        });
    call(
        "CpuBackend.new(InstructionSet,int)",
        w -> args(w.pick(InstructionSet.values()), w.oneOf(1, 1, 2, 2, 0, -1, 1025, 1 << 30)));
    call("Backend.require(String)", w -> args(w.chance(0.3) ? "cpu" : "cuda"));
    call("Tensor.f32(long[])", w -> args((Object) shape(w)));
    call("Tensor.of(float[],long[])", w -> args(floats(w, 6), new long[] {2, 3}));
    call("Tensor.of(int[],long[])", w -> args(ints(w, 6), new long[] {3, 2}));
    call(
        "Tensor.of(TensorMemory,float[],long[])",
        w -> args(memory(w), floats(w, 6), new long[] {2, 3}));
    call(
        "Tensor.of(TensorMemory,int[],long[])",
        w -> args(memory(w), ints(w, 6), new long[] {3, 2}));
    call("Backend.of(float[],long[])", w -> args(w.backend(), floats(w, 6), new long[] {6}));
    call("Backend.of(int[],long[])", w -> args(w.backend(), ints(w, 6), new long[] {1, 6}));
    call(
        "Tensor.wrap(ByteBuffer,DType,long[])",
        w ->
            args(
                ByteBuffer.allocateDirect(256).order(ByteOrder.nativeOrder()).position(w.below(8)),
                w.pick(DType.values()),
                new long[] {w.below(4), 1 + w.below(4)}));
    call(
        "Tensor.wrap(long,DType,long[])",
        w -> args(address(w), w.pick(DType.values()), new long[] {w.below(9), w.below(9)}));
    call(
        "Tensor.wrap(TensorMemory,long,DType,long[])",
        w ->
            args(
                TensorMemory.host(),
                address(w),
                w.pick(DType.values()),
                new long[] {w.below(9), w.below(9)}));
    call(
        "Tensor.slice(long,long)",
        w -> {
          Tensor tensor = open(w);
          long rows = tensor.rank() == 0 ? 0 : tensor.dim(0);
          long begin = w.below((int) Math.min(rows, 100) + 1);
          return args(tensor, begin, Math.min(rows, begin + w.below(3)));
        });
    call(
        "Tensor.reshape(long[])",
        w -> {
          Tensor tensor = open(w);
          return args(
              tensor, w.chance(0.5) ? new long[] {tensor.size()} : new long[] {1, tensor.size()});
        });
    call("Tensor.dim(int)", w -> args(open(w), w.below(3)));
    call("Tensor.getFloat(long)", w -> args(w.f32(2, 3), (long) w.below(7)));
    call("Tensor.setFloat(long,float)", w -> args(floating(w), (long) w.below(7), w.value()));
    call("Tensor.getInt(long)", w -> args(w.tensor(DType.I32, 2, 3), (long) w.below(7)));
    call("Tensor.setInt(long,int)", TensorRecipes::setInt);
    call("Tensor.getLong(long)", w -> args(longs(w), (long) w.below(7)));
    call("Tensor.setLong(long,long)", w -> args(longs(w), (long) w.below(7), (long) w.below(9)));
    call("Tensor.toFloatArray()", w -> args(floating(w)));
    call("Tensor.toIntArray()", w -> args(w.tensor(DType.I32, 2, 3)));
    call("Tensor.copyFrom(float[])", w -> args(floating(w), floats(w, 6)));
    call("Tensor.copyFrom(int[])", w -> args(w.tensor(DType.I32, 2, 3), ints(w, 6)));
    call(
        "Tensor.copyFrom(Tensor)",
        w -> {
          Tensor source = open(w);
          return args(w.tensor(source.dtype(), source.shape()), source);
        });
    call("Tensor.fill(float)", w -> args(floating(w), w.value()));
    call("Tensor.require(String,DType,long)", w -> args(w.f32(3), "input", DType.F32, 3L));
    call(
        "Tensor.require(String,DType,long,long)",
        w -> args(w.f32(3, 2), "input", DType.F32, Tensor.ANY, 2L));
    call(
        "Tensor.require(String,DType,long,long,long)",
        w -> args(w.f32(3, 2, 1), "input", DType.F32, Tensor.ANY, 2L, 1L));
    call(
        "Tensor.require(String,DType,long[])",
        w -> args(w.f32(3, 2), "input", DType.F32, new long[] {3, 2}));
    call(
        "Tensor.requireFloating(String,long[])",
        w -> args(floating(w), "input", new long[] {2, 3}));
    call("Tensor.requireFloating(String,long,long)", w -> args(floating(w), "input", 2L, -1L));
    call("CpuBackend.close()", w -> w.chance(0.3) ? args(w.backend()) : null);
  }

  /** Mostly one that a call can use. */
  static Tensor open(World world) {
    for (int i = 0; i < 5; i++) {
      Tensor found = (Tensor) world.pool.any(Tensor.class, world.random);
      if (found != null && !found.isClosed() && found.size() <= 4096) return found;
    }
    return world.f32(2, 3);
  }

  private static Tensor matrixTensor(World w) {
    return w.tensor(w.floating(), 1 + w.below(40), 1 + w.below(9));
  }

  private static Tensor floating(World world) {
    return world.tensor(world.floating(), 2, 3);
  }

  private static Tensor longs(World world) {
    return world.tensor(world.chance(0.5) ? DType.I64 : DType.U64, 2, 3);
  }

  /** Of any i32 tensor that is there: those of routings and plans too. */
  private static Object[] setInt(World world) {
    Tensor tensor = null;
    for (int i = 0; i < 10 && (tensor == null || tensor.dtype() != DType.I32); i++)
      tensor = (Tensor) world.pool.any(Tensor.class, world.random);
    if (tensor == null || tensor.dtype() != DType.I32) tensor = world.tensor(DType.I32, 2, 3);
    int value = world.chance(0.9) ? world.below(9) : world.hostileInt();
    return args(tensor, (long) world.below((int) Math.min(9, tensor.size() + 1)), value);
  }

  private static TensorMemory memory(World world) {
    return world.chance(0.8) ? TensorMemory.host() : World.ELSEWHERE;
  }

  private static long[] shape(World world) {
    return new long[] {world.rows(), world.width()};
  }

  /** Of 8192 bytes at the beginning of a page. */
  static long pageAddress() {
    return (Internals.address(ADDRESSED) + 4095) / 4096 * 4096;
  }

  private static long address(World world) {
    return Internals.address(ADDRESSED) + 64L * world.below(16);
  }

  private static float[] floats(World world, int length) {
    float[] values = new float[length];
    for (int i = 0; i < length; i++) values[i] = world.value();
    return values;
  }

  static int[] ints(World world, int length) {
    int[] values = new int[length];
    for (int i = 0; i < length; i++) values[i] = world.below(5);
    return values;
  }
}
