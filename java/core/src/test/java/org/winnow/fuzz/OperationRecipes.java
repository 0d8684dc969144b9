package org.winnow.fuzz;

import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;
import static org.winnow.fuzz.Recipes.some;

import java.util.List;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.attention.RopeFrequencies;
import org.winnow.op.AttentionOptions;
import org.winnow.op.KvCache;
import org.winnow.op.KvPlane;
import org.winnow.op.Rope;
import org.winnow.op.Sampler;
import org.winnow.op.SamplerOptions;

/** Elementwise operations and attention, and the objects that they work on. */
final class OperationRecipes {
  private static final List<DType> ELEMENTS = List.of(DType.F32, DType.BF16, DType.F16);

  private OperationRecipes() {}

  static void addTo() {
    addElementwise();
    addAttention();
  }

  private static void addElementwise() {
    call("Add.run(Backend,Tensor,Tensor)", w -> twice(w, w.rows(), w.width()));
    call("Clamp.run(Backend,Tensor,float)", w -> args(w.backend(), w.f32(w.rows(), w.width()), 2f));
    call(
        "Embedding.run(Backend,Tensor,Tensor,Tensor)",
        w -> {
          int vocabulary = w.size();
          int tokens = w.rows();
          int width = w.width();
          return args(
              w.backend(),
              w.tensor(w.floating(), vocabulary, width),
              w.indices(tokens, vocabulary),
              w.f32(tokens, width));
        });
    call(
        "LayerNorm.run(Backend,Tensor,Tensor,Tensor,Tensor,float)",
        w -> {
          int rows = w.rows();
          int width = w.width();
          Tensor input = w.f32(rows, width);
          Tensor bias = w.chance(0.3) ? null : w.f32(width);
          Tensor output = w.chance(0.3) ? input : w.f32(rows, width);
          return args(w.backend(), input, w.f32(width), bias, output, 1e-5f);
        });
    call(
        "MultiplicativeLayer.run(Backend,Tensor,Tensor,Tensor,Tensor,Tensor)",
        w -> {
          int tokens = w.rows();
          int inputs = w.width();
          int modules = w.size();
          int columns = w.width();
          DType weights = w.floating();
          return args(
              w.backend(),
              w.tensor(w.chance(0.5) ? DType.F32 : DType.BF16, tokens, inputs),
              w.tensor(weights, inputs, modules),
              w.tensor(weights, inputs, columns),
              w.chance(0.3) ? null : w.f32(modules, columns),
              w.f32(tokens, (long) modules * columns));
        });
    call(
        "RmsNorm.run(Backend,Tensor,Tensor,Tensor,float)",
        w -> {
          int rows = w.rows();
          int width = w.width();
          Tensor input = w.f32(rows, width);
          Tensor output = w.chance(0.3) ? input : w.f32(rows, width);
          return args(w.backend(), input, w.f32(width), output, 1e-5f);
        });
    call(
        "RmsNorm.runOnSum(Backend,Tensor,Tensor,Tensor,Tensor,float)",
        w -> {
          int rows = w.rows();
          int width = w.width();
          return args(
              w.backend(),
              w.f32(rows, width),
              w.f32(rows, width),
              w.f32(width),
              w.f32(rows, width),
              1e-5f);
        });
    call(
        "RmsNorm.runBoth(Backend,Tensor,Tensor,Tensor,Tensor,float)",
        w -> {
          int width = w.width();
          int other = w.width();
          return args(
              w.backend(),
              w.f32(w.rows(), width),
              w.f32(width),
              w.f32(w.rows(), other),
              w.f32(other),
              1e-5f);
        });
    call(
        "StridedCopy.run(Backend,Tensor,long,long,long,Tensor,long,long,long,long,long,long)",
        w -> {
          long outer = w.size();
          long inner = w.size();
          long width = w.size();
          return args(
              w.backend(),
              w.f32(outer, inner, width),
              0L,
              w.chance(0.2) ? 0 : inner * width,
              width,
              w.f32(outer * inner * width + 3),
              (long) w.below(5),
              inner * width,
              width,
              outer,
              inner,
              width);
        });
    Recipes.object(
        SamplerOptions.class,
        w ->
            new SamplerOptions(
                w.chance(0.3) ? 0 : 0.8,
                w.oneOf(0, 1, 3, 100, Integer.MAX_VALUE),
                w.chance(0.5) ? 1 : 0.7,
                w.chance(0.5) ? 0 : 0.05,
                w.chance(0.5) ? 1 : 1.2));
    Recipes.object(
        Sampler.class, w -> new Sampler(some(SamplerOptions.class, w), w.random.nextLong()));
    call(
        "Sampler.sample(Backend,Tensor)",
        w -> args(some(Sampler.class, w), w.backend(), w.f32(w.width())));
    call(
        "Sampler.sample(Backend,Tensor,Tensor)",
        w -> {
          int width = w.width();
          return args(
              some(Sampler.class, w),
              w.backend(),
              w.f32(width),
              w.chance(0.2) ? null : w.indices(w.below(5), width));
        });
  }

  private static Object[] twice(World world, int rows, int width) {
    Tensor accumulator = world.f32(rows, width);
    boolean same = world.chance(0.2);
    return args(world.backend(), accumulator, same ? accumulator : world.f32(rows, width));
  }

  private static void addAttention() {
    Recipes.object(KvCache.class, OperationRecipes::filledCache);
    Recipes.object(
        AttentionOptions.class, w -> new AttentionOptions(0.5f, w.oneOf(0, 0, 1, 7, 100), null));
    Recipes.object(
        RopeFrequencies.class, w -> RopeFrequencies.standard(2 * w.oneOf(1, 2, 4, 8), 10000));
    Recipes.object(
        RopeFrequencies.Yarn.class,
        w -> new RopeFrequencies.Yarn(4, 4096, 32, 1, w.chance(0.5), null, null, null));
    call(
        "Rope.run(Backend,Tensor,Tensor,Tensor,int,Layout)",
        w -> {
          int tokens = w.rows();
          int pairs = w.size();
          int offset = w.below(3);
          int width = offset + 2 * pairs + w.below(2);
          return args(
              w.backend(),
              w.f32(tokens, w.size(), width),
              w.f32(tokens, pairs),
              w.f32(tokens, pairs),
              offset,
              w.pick(Rope.Layout.values()));
        });
    call(
        "Rope.run(Backend,Tensor,Tensor,Tensor,Tensor,int,Layout)",
        w -> {
          int tokens = w.rows();
          int pairs = w.size();
          return args(
              w.backend(),
              w.f32(tokens, w.size(), 2 * pairs),
              w.f32(tokens, w.size(), 2 * pairs + w.below(2)),
              w.f32(tokens, pairs),
              w.f32(tokens, pairs),
              0,
              w.pick(Rope.Layout.values()));
        });
    call(
        "RopeFrequencies.angles(long,Tensor,Tensor)",
        w -> {
          RopeFrequencies frequencies = some(RopeFrequencies.class, w);
          int tokens = w.rows();
          return args(
              frequencies,
              w.chance(0.9) ? w.below(100) : Long.MAX_VALUE - w.below(3),
              w.f32(tokens, frequencies.numPairs()),
              w.f32(tokens, frequencies.numPairs()));
        });
    call("RopeFrequencies.standard(int,double)", w -> args(2 * w.size(), 10000.0));
    call("RopeFrequencies.linear(int,double,double)", w -> args(2 * w.size(), 10000.0, 2.0));
    call(
        "RopeFrequencies.llama3(int,double,double,double,double,double)",
        w -> args(2 * w.size(), 10000.0, 8.0, 1.0, 4.0, 8192.0));
    call(
        "RopeFrequencies.yarn(int,double,Yarn)",
        w -> args(2 * w.size(), 10000.0, some(RopeFrequencies.Yarn.class, w)));
    call(
        "KvCache.new(int,int,int,int,int)",
        w -> args(w.size(), w.size(), w.size(), w.size(), 1 + w.below(300)));
    call(
        "KvCache.ofLatents(int,int,int,int)",
        w -> args(w.size(), w.size(), w.size(), 1 + w.below(300)));
    call(
        "KvCache.new(TensorMemory,DType,int,int,int,int,int)",
        w ->
            args(
                TensorMemory.host(),
                element(w),
                w.size(),
                w.size(),
                w.size(),
                w.size(),
                1 + w.below(300)));
    call(
        "KvCache.ofLatents(TensorMemory,DType,int,int,int,int)",
        w -> args(TensorMemory.host(), element(w), w.size(), w.size(), w.size(), 1 + w.below(300)));
    call(
        "KvCache.append(Backend,int,KvPlane,Tensor)",
        w -> {
          KvCache cache = some(KvCache.class, w);
          KvPlane plane = w.chance(0.5) ? cache.keys() : cache.values();
          int tokens = w.oneOf(0, 1, 1, 2, 5, 70);
          return args(
              cache,
              w.backend(),
              w.below(cache.numLayers()),
              plane,
              w.f32(tokens, plane.numHeads(), plane.width()));
        });
    call(
        "KvCache.append(Backend,int,Tensor,Tensor)",
        w -> {
          KvCache cache = new KvCache(1, w.size(), w.size(), w.size(), 200);
          int tokens = w.oneOf(0, 1, 1, 2, 5, 70);
          return args(
              cache,
              w.backend(),
              0,
              w.f32(tokens, cache.keys().numHeads(), cache.keys().width()),
              w.f32(tokens, cache.values().numHeads(), cache.values().width()));
        });
    call("KvCache.reserve(int)", w -> args(some(KvCache.class, w), w.oneOf(0, 1, 5, 70)));
    call("KvCache.advance(int)", w -> args(some(KvCache.class, w), w.oneOf(0, 0, 1, 2, 5)));
    call("KvCache.advanceCaptured(int)", w -> args(some(KvCache.class, w), w.oneOf(0, 1, 2, 5)));
    call("KvCache.truncate(int)", w -> args(some(KvCache.class, w), w.oneOf(0, 0, 1, 3)));
    call("KvCache.written(int)", w -> args(some(KvCache.class, w), w.below(2)));
    call(
        "Attention.run(Backend,Tensor,KvCache,int,long,AttentionOptions,Tensor)",
        w -> {
          KvCache cache = some(KvCache.class, w);
          int layer = w.below(cache.numLayers());
          long written = cache.written(layer);
          if (written == 0) {
            cache = filledCache(w);
            layer = 0;
            written = cache.written(0);
          }
          int tokens = (int) Math.min(written, w.oneOf(1, 1, 2, 5, 0));
          int heads = cache.numKvHeads() * w.oneOf(1, 1, 2, 3);
          AttentionOptions options =
              w.chance(0.7)
                  ? some(AttentionOptions.class, w)
                  : new AttentionOptions(0.3f, w.oneOf(0, 3), w.f32(heads));
          return args(
              w.backend(),
              w.f32(tokens, heads, cache.keyWidth()),
              cache,
              layer,
              written - tokens,
              options,
              w.f32(tokens, heads, cache.valueWidth()));
        });
  }

  /** With some tokens in every layer. */
  private static KvCache filledCache(World world) {
    boolean latent = world.chance(0.4);
    int layers = world.oneOf(1, 1, 2);
    int heads = latent ? 1 : world.oneOf(1, 2, 3);
    int keyWidth = world.oneOf(2, 4, 8, 16);
    int valueWidth = world.oneOf(2, 4, 8, 3);
    DType element = element(world);
    TensorMemory memory = TensorMemory.host();
    KvCache cache =
        latent
            ? KvCache.ofLatents(memory, element, layers, keyWidth, valueWidth, 200)
            : new KvCache(memory, element, layers, heads, keyWidth, valueWidth, 200);
    int tokens = world.oneOf(1, 3, 64, 70);
    for (KvPlane plane : cache.planes()) {
      try (Tensor rows = Tensor.f32(tokens, plane.numHeads(), plane.width())) {
        for (int layer = 0; layer < layers; layer++)
          cache.append(world.backend(), layer, plane, rows);
      }
    }
    cache.advance(tokens);
    return cache;
  }

  private static DType element(World world) {
    return ELEMENTS.get(world.below(ELEMENTS.size()));
  }
}
