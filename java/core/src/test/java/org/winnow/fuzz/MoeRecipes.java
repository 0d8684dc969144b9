package org.winnow.fuzz;

import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;
import static org.winnow.fuzz.Recipes.some;

import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.moe.Experts;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.ExpertPlan;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/** Operations of a mixture of experts, and the objects that they work on. */
final class MoeRecipes {
  private MoeRecipes() {}

  static void addTo() {
    Recipes.object(TopKRouter.Builder.class, MoeRecipes::routerBuilder);
    Recipes.object(TopKRouter.class, w -> routerBuilder(w).build());
    Recipes.object(Routing.class, w -> routed(w, w.rows(), 4));
    Recipes.object(ExpertPlan.class, w -> planned(w, some(Routing.class, w), 4));
    Recipes.object(
        ExpertMatrices.class,
        w -> {
          Experts experts = LayerRecipes.experts(w, w.size(), w.size(), w.size());
          return w.chance(0.5) ? experts.gateUp() : experts.down();
        });
    call("TopKRouter.softmax(int)", w -> args(1 + w.below(3)));
    call("TopKRouter.sigmoid(int)", w -> args(1 + w.below(3)));
    call("TopKRouter.threshold(Score,float)", w -> args(w.pick(TopKRouter.Score.values()), 0.1f));
    call(
        "TopKRouter.Builder.correctionBias(Tensor)",
        w -> args(TopKRouter.sigmoid(1), w.f32(w.oneOf(4, 8))));
    call("TopKRouter.Builder.groups(int,int,GroupScore)", MoeRecipes::groups);
    call(
        "TopKRouter.run(Backend,Tensor,Routing)",
        w -> args(some(TopKRouter.class, w), w.backend(), logits(w), some(Routing.class, w)));
    call(
        "TopKRouter.run(Backend,Tensor,Routing,ExpertPlan)",
        w ->
            args(
                some(TopKRouter.class, w),
                w.backend(),
                logits(w),
                some(Routing.class, w),
                some(ExpertPlan.class, w)));
    call("Routing.set(int[],int[],float[])", MoeRecipes::setRouting);
    call(
        "Routing.distinctExperts(int[])",
        w -> args(some(Routing.class, w), new int[w.oneOf(0, 1, 4, 8, 64)]));
    call(
        "ExpertPlan.build(Backend,Routing,int)",
        w ->
            args(
                some(ExpertPlan.class, w),
                w.backend(),
                some(Routing.class, w),
                w.oneOf(4, 4, 8, 1, 64)));
    call("ExpertPlan.activeExpert(int)", w -> args(some(ExpertPlan.class, w), w.below(3)));
    call(
        "ExpertMatrices.new(WeightFormat,int,long,long,boolean,boolean)",
        w ->
            args(
                w.pick(WeightFormat.values()),
                w.size(),
                (long) w.size(),
                (long) w.size(),
                w.chance(0.5),
                w.chance(0.5)));
    call(
        "ExpertMatrices.set(int,Matrix,Matrix,Tensor,Tensor)",
        w -> {
          WeightFormat format = w.pick(WeightFormat.values());
          int output = w.size();
          int input = w.size();
          boolean gated = w.chance(0.5);
          boolean biased = w.chance(0.5);
          ExpertMatrices matrices =
              w.keep(
                  new ExpertMatrices(
                      TensorMemory.host(),
                      format,
                      WeightLayout.ROWS,
                      w.f32OrBf16(),
                      3,
                      output,
                      input,
                      gated,
                      biased));
          return args(
              matrices,
              w.below(3),
              w.matrix(format, output, input),
              gated ? w.matrix(format, output, input) : null,
              biased && w.chance(0.5) ? w.f32(output) : null,
              biased && gated && w.chance(0.5) ? w.f32(output) : null);
        });
    call("ExpertMatrices.isResident(int)", w -> args(some(ExpertMatrices.class, w), w.below(4)));
    call(
        "GroupedGemm.run(Backend,Tensor,ExpertPlan,ExpertMatrices,Activation,Tensor)",
        w -> {
          Scene scene = new Scene(w);
          Tensor output =
              w.tensor(
                  w.f32OrBf16(), scene.plan.numRows() + w.below(2), scene.matrices.outputSize());
          return args(w.backend(), scene.input, scene.plan, scene.matrices, activation(w), output);
        });
    call(
        "GroupedGemm.run(Backend,Tensor,Tensor,Tensor,Tensor,int,ExpertMatrices,Activation,Tensor)",
        w -> {
          Scene scene = new Scene(w);
          ExpertPlan plan = scene.plan;
          Tensor output =
              w.tensor(w.f32OrBf16(), plan.numRows() + w.below(2), scene.matrices.outputSize());
          return args(
              w.backend(),
              scene.input,
              copy(w, plan.sourceRows()),
              copy(w, plan.expertOffsets()),
              copy(w, plan.activeExperts()),
              plan.numActiveExperts(),
              scene.matrices,
              activation(w),
              output);
        });
    call(
        "GroupedGemm.runSingle(Backend,Tensor,ExpertMatrices,Activation,Tensor)",
        w -> {
          ExpertMatrices matrices = some(ExpertMatrices.class, w);
          int rows = w.rows();
          return args(
              w.backend(),
              w.tensor(w.f32OrBf16(), rows, matrices.inputSize()),
              matrices,
              activation(w),
              w.tensor(w.f32OrBf16(), rows, matrices.outputSize()));
        });
    call(
        "GroupedGemm.Product.new(Tensor,Tensor,Tensor,Tensor,int,ExpertMatrices,Activation,Tensor)",
        w -> {
          Scene scene = new Scene(w);
          return args(
              scene.input,
              scene.plan.sourceRows(),
              scene.plan.expertOffsets(),
              scene.plan.activeExperts(),
              scene.plan.numActiveExperts(),
              scene.matrices,
              activation(w),
              w.f32(scene.plan.numRows(), scene.matrices.outputSize()));
        });
    call(
        "MoeCombine.run(Backend,Tensor,Routing,ExpertPlan,Tensor,Tensor,Tensor)",
        w -> {
          Routing routing = some(Routing.class, w);
          int tokens = routing.numTokens();
          ExpertPlan plan =
              w.chance(0.8) ? w.keep(planned(w, routing, 64)) : some(ExpertPlan.class, w);
          int width = w.width();
          Tensor shared = w.chance(0.5) ? null : w.f32(tokens, width);
          return args(
              w.backend(),
              w.f32(routing.numRows() + w.below(2), width),
              routing,
              plan,
              shared,
              shared == null || w.chance(0.5) ? null : w.f32(tokens, 1),
              w.tensor(w.f32OrBf16(), tokens, width));
        });
  }

  /** A plan with input and matrices that fit it. */
  private static final class Scene {
    final ExpertPlan plan;
    final ExpertMatrices matrices;
    final Tensor input;

    Scene(World world) {
      matrices = some(ExpertMatrices.class, world);
      int tokens = world.rows();
      Routing routing = world.keep(routed(world, tokens, matrices.numExperts()));
      plan = world.keep(planned(world, routing, matrices.numExperts()));
      input = world.tensor(world.f32OrBf16(), tokens, matrices.inputSize());
    }
  }

  private static Tensor copy(World world, Tensor source) {
    if (world.chance(0.5)) return source;
    Tensor copy = world.overlapping(source.dtype(), source.shape());
    return copy == null ? source : copy.copyFrom(source.toIntArray());
  }

  static Activation activation(World world) {
    return world.pick(Activation.values());
  }

  private static Tensor logits(World world) {
    return world.f32(world.rows(), world.oneOf(4, 4, 4, 8, 1, 64, 0));
  }

  private static TopKRouter.Builder routerBuilder(World world) {
    TopKRouter.Score score = world.pick(TopKRouter.Score.values());
    TopKRouter.Builder builder =
        switch (score) {
          case SOFTMAX -> TopKRouter.softmax(1 + world.below(3));
          case SIGMOID -> TopKRouter.sigmoid(1 + world.below(3));
          case SPARSEMAX -> TopKRouter.sparsemax();
          default -> TopKRouter.threshold(score, 0.1f);
        };
    if (world.chance(0.3)) builder.minExperts(world.oneOf(1, 2, 100));
    if (world.chance(0.3)) builder.skipBelow(0.3f);
    boolean plain = score == TopKRouter.Score.SOFTMAX || score == TopKRouter.Score.SIGMOID;
    if (plain && world.chance(0.2)) builder.correctionBias(world.f32(4).fill(0.5f));
    if (plain && world.chance(0.2))
      builder.groups(2, 2, world.pick(TopKRouter.GroupScore.values()));
    if (!plain && world.chance(0.3)) builder.maxExperts(1 + world.below(4));
    return builder;
  }

  private static Object[] groups(World world) {
    int groups = 1 + world.below(4);
    return args(
        TopKRouter.softmax(1),
        groups,
        1 + world.below(groups),
        world.pick(TopKRouter.GroupScore.values()));
  }

  private static Object[] setRouting(World world) {
    int tokens = world.below(5);
    int perToken = world.below(3);
    int[] offsets = new int[tokens + 1];
    for (int t = 0; t <= tokens; t++) offsets[t] = t * perToken;
    int[] experts = TensorRecipes.ints(world, tokens * perToken);
    if (experts.length > 0 && world.chance(0.1)) experts[0] = world.hostileInt();
    return args(some(Routing.class, world), offsets, experts, new float[experts.length]);
  }

  private static Routing routed(World world, int tokens, int numExperts) {
    Routing routing = new Routing();
    int perToken = world.oneOf(1, 1, 2, 3);
    int[] offsets = new int[tokens + 1];
    for (int t = 0; t <= tokens; t++) offsets[t] = t * perToken;
    int[] experts = new int[tokens * perToken];
    for (int i = 0; i < experts.length; i++) experts[i] = world.below(numExperts);
    routing.set(offsets, experts, new float[experts.length]);
    return routing;
  }

  private static ExpertPlan planned(World world, Routing routing, int numExperts) {
    ExpertPlan plan = new ExpertPlan();
    plan.build(world.backend(), routing, numExperts);
    return plan;
  }
}
