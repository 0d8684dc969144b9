package org.winnow.fuzz;

import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;
import static org.winnow.fuzz.Recipes.some;

import java.io.IOException;
import java.util.List;
import java.util.function.IntFunction;
import org.winnow.DType;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertSource;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.RangeReader;
import org.winnow.memory.TensorInfo;
import org.winnow.moe.Experts;

/** Checkpoints, expert stores and caches over the fuzzer's files. */
final class MemoryRecipes {
  private MemoryRecipes() {}

  static void addTo() {
    Recipes.object(Checkpoint.class, MemoryRecipes::checkpoint);
    Recipes.object(ExpertStore.class, w -> storeBuilder(w).build());
    Recipes.object(ExpertStore.Builder.class, MemoryRecipes::storeBuilder);
    Recipes.object(ExpertCache.class, MemoryRecipes::cache);
    Recipes.object(TensorInfo.class, w -> w.pick(FuzzFiles.tensors(w).toArray(new TensorInfo[0])));
    Recipes.object(EvictionPolicy.class, MemoryRecipes::policy);
    Recipes.model(EvictionPolicy.class, MemoryRecipes::policy);
    Recipes.object(RangeReader.class, MemoryRecipes::reader);
    Recipes.model(RangeReader.class, MemoryRecipes::reader);
    Recipes.object(RangeReader.Opener.class, w -> opener(w));
    Recipes.model(RangeReader.Opener.class, w -> opener(w));
    Recipes.model(IntFunction.class, w -> sources(w.below(3)));
    Recipes.object(
        ExpertSource.class, w -> w.pick(sources(w.below(3)).apply(0).toArray(new ExpertSource[0])));
    call("Checkpoint.new(Collection)", w -> args(FuzzFiles.tensors(w)));
    call("Checkpoint.new(Collection,Opener)", w -> args(FuzzFiles.tensors(w), opener(w)));
    call("Checkpoint.read(String)", w -> args(some(Checkpoint.class, w), name(w)));
    call("Checkpoint.find(String)", w -> args(some(Checkpoint.class, w), name(w)));
    call("Checkpoint.require(String)", w -> args(some(Checkpoint.class, w), name(w)));
    call(
        "ExpertStore.builder(Checkpoint,long,long)",
        w ->
            args(
                some(Checkpoint.class, w),
                (long) FuzzFiles.HIDDEN_SIZE,
                (long) FuzzFiles.INTERMEDIATE_SIZE));
    call(
        "ExpertStore.Builder.addLayer(int,IntFunction)",
        w -> args(emptyBuilder(w), FuzzFiles.NUM_EXPERTS, sources(w.below(3))));
    call("ExpertSource.of(ExpertRole,String)", w -> args(w.pick(ExpertRole.values()), name(w)));
    call(
        "ExpertStore.format(int,ExpertRole)",
        w -> args(some(ExpertStore.class, w), w.below(2), w.pick(ExpertRole.values())));
    call(
        "ExpertStore.has(int,ExpertRole)",
        w -> args(some(ExpertStore.class, w), w.below(2), w.pick(ExpertRole.values())));
    call("ExpertStore.numExperts(int)", w -> args(some(ExpertStore.class, w), w.below(2)));
    call(
        "ExpertStore.storedBytes(int,int)",
        w -> args(some(ExpertStore.class, w), w.below(2), w.below(4)));
    call(
        "ExpertStore.readBytes(int,int)",
        w -> args(some(ExpertStore.class, w), w.below(2), w.below(4)));
    call(
        "ExpertCache.new(ExpertStore,long,EvictionPolicy)",
        w -> {
          ExpertStore store = some(ExpertStore.class, w);
          return args(store, store.slotBytes() * (1 + w.below(5)), policy(w));
        });
    call("ExpertCache.layer(int)", w -> args(some(ExpertCache.class, w), w.below(2)));
    call("EvictionPolicy.used(int,long)", w -> args(begun(w), w.below(8), (long) w.below(100)));
    call("EvictionPolicy.rank(int)", w -> args(begun(w), w.below(8)));
    call(
        "RangeReader.read(long,Tensor)",
        w ->
            args(
                reader(w),
                4096L * w.oneOf(0, 1, 1000, 1024, 1025, 1 << 20),
                w.tensor(DType.I8, w.oneOf(0, 1, 2) * 4096L)));
    call("RangeReader.Opener.open(Path)", w -> args(opener(w), FuzzFiles.any(w)));
    call("DiskProbe.read(Path,long,int)", MemoryRecipes::probed);
    call("DiskProbe.readIntoNewMemory(Path,long,int)", MemoryRecipes::probed);
    call(
        "DiskProbe.readNewFile(Path,long,int)",
        w ->
            args(
                w.folder.resolve(w.chance(0.9) ? "" : "missing"),
                (long) w.oneOf(0, 5, -1, 4 << 20, 4 << 20),
                w.oneOf(0, -1, 1, 2)));
  }

  private static Object[] probed(World world) {
    return args(
        FuzzFiles.any(world), (long) world.oneOf(0, 4 << 20, 9 << 20), world.oneOf(0, -1, 1, 2, 3));
  }

  private static String name(World world) {
    return world.pick(
        new String[] {
          "gate.0", "up.1", "down.2", "fused.gateUp", "fused.down", "interleaved.downBias", "none"
        });
  }

  /** The experts of one of the three kinds that the files hold. */
  private static IntFunction<List<ExpertSource>> sources(int kind) {
    return switch (kind) {
      case 0 ->
          e ->
              List.of(
                  ExpertSource.of(ExpertRole.GATE, "gate." + e),
                  ExpertSource.of(ExpertRole.UP, "up." + e),
                  ExpertSource.of(ExpertRole.DOWN, "down." + e));
      case 1 ->
          e ->
              List.of(
                  stacked(ExpertRole.GATE, "fused.gateUp", e).rowPart(0, 2),
                  stacked(ExpertRole.UP, "fused.gateUp", e).rowPart(1, 2),
                  stacked(ExpertRole.DOWN, "fused.down", e));
      default ->
          e ->
              List.of(
                  stacked(ExpertRole.GATE, "interleaved.gateUp", e).columns(0, 2).transposed(),
                  stacked(ExpertRole.UP, "interleaved.gateUp", e).columns(1, 2).transposed(),
                  stacked(ExpertRole.GATE_BIAS, "interleaved.gateUpBias", e).rows(0, 2),
                  stacked(ExpertRole.UP_BIAS, "interleaved.gateUpBias", e).rows(1, 2),
                  stacked(ExpertRole.DOWN, "interleaved.down", e).transposed(),
                  stacked(ExpertRole.DOWN_BIAS, "interleaved.downBias", e));
    };
  }

  private static ExpertSource stacked(ExpertRole role, String tensor, int expert) {
    return ExpertSource.of(role, tensor).expert(expert, FuzzFiles.NUM_EXPERTS);
  }

  private static RangeReader.Opener opener(World world) {
    double kind = world.random.nextDouble();
    if (kind < 0.45) return RangeReader.buffered();
    if (kind < 0.80) return RangeReader.direct();
    Hostile hostile = world.hostile;
    if (hostile == null) return RangeReader.buffered();
    return file -> {
      RangeReader real = RangeReader.buffered().open(file);
      Object lying = hostile.implement(RangeReader.class);
      world.keep(real);
      return (RangeReader) lying;
    };
  }

  private static RangeReader reader(World world) {
    try {
      java.nio.file.Path file = world.folder.resolve("weights");
      return world.chance(0.5)
          ? RangeReader.buffered().open(file)
          : RangeReader.direct().open(file);
    } catch (IOException e) {
      throw new IllegalStateException("no file to read", e);
    }
  }

  private static EvictionPolicy policy(World world) {
    if (world.hostile != null && world.chance(0.15))
      return (EvictionPolicy) world.hostile.implement(EvictionPolicy.class);
    return switch (world.below(3)) {
      case 0 -> EvictionPolicy.lru();
      case 1 -> EvictionPolicy.lfu();
      default -> EvictionPolicy.lfru();
    };
  }

  private static EvictionPolicy begun(World world) {
    EvictionPolicy policy =
        switch (world.below(3)) {
          case 0 -> EvictionPolicy.lru();
          case 1 -> EvictionPolicy.lfu();
          default -> EvictionPolicy.lfru();
        };
    policy.begin(8);
    return policy;
  }

  private static Checkpoint checkpoint(World world) {
    return new Checkpoint(FuzzFiles.tensors(world), opener(world));
  }

  private static ExpertStore.Builder emptyBuilder(World world) {
    return ExpertStore.builder(
        world.keep(checkpoint(world)), FuzzFiles.HIDDEN_SIZE, FuzzFiles.INTERMEDIATE_SIZE);
  }

  private static ExpertStore.Builder storeBuilder(World world) {
    ExpertStore.Builder builder = emptyBuilder(world);
    int kind = world.below(3);
    for (int layer = 1 + world.below(2); layer > 0; layer--)
      builder.addLayer(FuzzFiles.NUM_EXPERTS, sources(kind));
    return builder;
  }

  private static ExpertCache cache(World world) {
    ExpertStore store = some(ExpertStore.class, world);
    return new ExpertCache(store, store.slotBytes() * (1 + world.below(5)), policy(world));
  }

  /** One layer of a cache; null where that was closed meanwhile. */
  static Experts cachedExperts(World world) {
    ExpertCache cache = some(ExpertCache.class, world);
    return world.keep(cache.layer(world.below(cache.store().numLayers())));
  }
}
