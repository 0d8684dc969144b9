package org.winnow.fuzz;

import static org.winnow.fuzz.LayerRecipes.linear;
import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;
import static org.winnow.fuzz.Recipes.some;

import org.winnow.attention.MlaAttention;
import org.winnow.attention.MlaWorkspace;
import org.winnow.op.KvCache;
import org.winnow.op.Rope;

/** Attention over latents. */
final class LatentRecipes {
  private LatentRecipes() {}

  static void addTo() {
    Recipes.object(MlaAttention.class, LatentRecipes::mla);
    Recipes.object(MlaWorkspace.class, w -> new MlaWorkspace());
    call(
        "MlaAttention.new(Geometry,Weights)",
        w -> {
          Parts parts = new Parts(w);
          return args(parts.geometry, parts.weights);
        });
    call(
        "MlaAttention.run(Backend,Tensor,KvCache,int,Tensor,Tensor,MlaWorkspace,Tensor)",
        w -> {
          Parts parts = new Parts(w);
          int tokens = w.rows();
          KvCache cache =
              w.keep(KvCache.ofLatents(1, Parts.LATENT, parts.geometry.ropeWidth(), 90));
          return args(
              w.keep(new MlaAttention(parts.geometry, parts.weights)),
              w.backend(),
              w.f32(tokens, Parts.HIDDEN),
              cache,
              0,
              w.f32(tokens, parts.geometry.ropeWidth() / 2),
              w.f32(tokens, parts.geometry.ropeWidth() / 2),
              some(MlaWorkspace.class, w),
              w.f32(tokens, Parts.HIDDEN));
        });
  }

  private static MlaAttention mla(World world) {
    Parts parts = new Parts(world);
    return new MlaAttention(parts.geometry, parts.weights);
  }

  /** Weights that fit a geometry. */
  private static final class Parts {
    static final int HIDDEN = 8;
    static final int LATENT = 4;
    final MlaAttention.Geometry geometry;
    final MlaAttention.Weights weights;

    Parts(World world) {
      int heads = world.oneOf(1, 2, 3);
      int nope = world.oneOf(1, 2, 4);
      int rope = world.oneOf(2, 4);
      int value = world.oneOf(1, 2, 4);
      geometry =
          new MlaAttention.Geometry(
              heads, nope, rope, value, 0.4f, 1e-5f, world.pick(Rope.Layout.values()));
      boolean direct = world.chance(0.5);
      int rank = 6;
      weights =
          new MlaAttention.Weights(
              direct ? null : world.keep(linear(world, rank, HIDDEN)),
              direct ? null : world.f32(rank),
              world.keep(linear(world, heads * (nope + rope), direct ? HIDDEN : rank)),
              world.keep(linear(world, LATENT + rope, HIDDEN)),
              world.f32(LATENT),
              world.tensor(world.floating(), heads * (nope + value), LATENT),
              world.keep(linear(world, HIDDEN, heads * value)),
              world.f32OrBf16());
      world.keep(geometry);
      world.keep(weights);
    }
  }
}
