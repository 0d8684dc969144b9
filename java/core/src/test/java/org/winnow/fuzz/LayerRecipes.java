package org.winnow.fuzz;

import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;
import static org.winnow.fuzz.Recipes.some;

import java.util.Arrays;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.layer.LinearGroup;
import org.winnow.moe.Experts;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/** Layers, and the weights that they are made of. */
final class LayerRecipes {
  private LayerRecipes() {}

  static void addTo() {
    Recipes.object(Linear.class, w -> linear(w, w.size(), w.size()));
    Recipes.object(FeedForward.class, w -> feedForward(w, w.size(), w.size()));
    Recipes.object(ResidentExperts.class, w -> experts(w, w.size(), w.size(), w.size()));
    Recipes.object(Experts.class, w -> experts(w, w.size(), w.size(), w.size()));
    Recipes.model(Experts.class, w -> new Unheld(w.keep(experts(w, w.size(), w.size(), w.size()))));
    Recipes.object(
        MoeLayer.class,
        w -> {
          MoeLayer.Builder builder = moeBuilder(w);
          MoeLayer layer = builder.build();
          if (w.taint != null && w.taint.isMarked(builder)) w.taint.mark(layer);
          return layer;
        });
    Recipes.object(MoeLayer.Builder.class, LayerRecipes::moeBuilder);
    addLinear();
    addExperts();
    addMoeLayer();
  }

  private static void addLinear() {
    call(
        "Linear.new(Tensor,Tensor)",
        w -> {
          int output = w.size();
          return args(w.tensor(w.floating(), output, w.size()), bias(w, output));
        });
    call(
        "Linear.new(Tensor,Tensor,DType)",
        w -> {
          int output = w.size();
          Tensor weight = w.tensor(w.floating(), output, w.size());
          return args(weight, bias(w, output), w.f32OrBf16());
        });
    call(
        "Linear.new(Matrix,Tensor)",
        w -> {
          int output = w.size();
          return args(w.matrix(w.pick(WeightFormat.values()), output, w.size()), bias(w, output));
        });
    call(
        "Linear.new(Matrix,Tensor,DType)",
        w -> {
          int output = w.size();
          Matrix weight = w.matrix(w.pick(WeightFormat.values()), output, w.size());
          return args(weight, bias(w, output), w.f32OrBf16());
        });
    call(
        "ResidentExperts.new(Matrix[],Matrix[],Matrix[],Tensor[],Tensor[],Tensor[])",
        w -> Arrays.copyOf(expertMatrices(w), 6));
    call(
        "ResidentExperts.new(Matrix[],Matrix[],Matrix[],Tensor[],Tensor[],Tensor[],DType)",
        LayerRecipes::expertMatrices);
    call(
        "Linear.run(Backend,Tensor,Tensor)",
        w -> {
          Linear linear = some(Linear.class, w);
          return inAndOut(w, linear, linear.inputSize(), linear.outputSize());
        });
    Recipes.object(
        LinearGroup.class,
        w -> {
          int input = w.size();
          return new LinearGroup(
              w.keep(linear(w, w.size(), input)), w.keep(linear(w, w.size(), input)));
        });
    call(
        "LinearGroup.new(Linear[])",
        w -> {
          int input = w.size();
          Linear[] maps = new Linear[1 + w.below(4)];
          Arrays.setAll(maps, i -> w.keep(linear(w, w.size(), input)));
          return args((Object) maps);
        });
    call(
        "LinearGroup.run(Backend,Tensor,Tensor[])",
        w -> {
          int input = w.size();
          Linear first = w.keep(linear(w, w.size(), input));
          Linear second = w.keep(linear(w, w.size(), input));
          int rows = w.rows();
          return args(
              new LinearGroup(first, second),
              w.backend(),
              w.tensor(w.f32OrBf16(), rows, input),
              new Tensor[] {
                w.tensor(w.f32OrBf16(), rows, first.outputSize()),
                w.tensor(w.f32OrBf16(), rows, second.outputSize())
              });
        });
    call(
        "FeedForward.new(Linear,Linear,Linear,Activation)",
        w -> {
          int hidden = w.size();
          int inner = w.size();
          Linear gate = w.keep(linear(w, inner, hidden));
          Linear up =
              w.keep(
                  new Linear(
                      w.tensor(gate.weight().plane(0).dtype(), inner, hidden),
                      null,
                      gate.productType()));
          return args(gate, up, w.keep(linear(w, hidden, inner)), MoeRecipes.activation(w));
        });
    call(
        "FeedForward.run(Backend,Tensor,Tensor)",
        w -> {
          FeedForward block = some(FeedForward.class, w);
          return inAndOut(w, block, block.hiddenSize(), block.hiddenSize());
        });
  }

  private static Tensor bias(World world, int size) {
    return world.chance(0.5) ? null : world.tensor(world.floating(), size);
  }

  private static Object[] expertMatrices(World world) {
    int count = 1 + world.below(3);
    int hidden = world.size();
    int inner = world.size();
    WeightFormat format = world.pick(WeightFormat.values());
    return args(
        matrices(world, count, format, inner, hidden),
        world.chance(0.5) ? null : matrices(world, count, format, inner, hidden),
        matrices(world, count, world.pick(WeightFormat.values()), hidden, inner),
        null,
        null,
        null,
        world.f32OrBf16());
  }

  private static Object[] inAndOut(World world, Object receiver, long input, long output) {
    int rows = world.rows();
    return args(
        receiver,
        world.backend(),
        world.tensor(world.f32OrBf16(), rows, input),
        world.tensor(world.f32OrBf16(), rows, output));
  }

  static Linear linear(World world, int outputSize, int inputSize) {
    Tensor weight = world.tensor(world.floating(), outputSize, inputSize);
    Tensor bias = world.chance(0.5) ? null : world.f32(outputSize);
    return new Linear(weight, bias, world.f32OrBf16());
  }

  private static FeedForward feedForward(World world, int hidden, int inner) {
    DType dtype = world.floating();
    Linear gate = world.keep(new Linear(world.tensor(dtype, inner, hidden), null));
    Linear up = world.keep(new Linear(world.tensor(dtype, inner, hidden), null));
    Linear down = world.keep(linear(world, hidden, inner));
    return new FeedForward(gate, up, down, Activation.SILU);
  }

  private static void addExperts() {
    call(
        "ResidentExperts.stacked(Tensor,Tensor,Tensor)",
        w -> {
          DType dtype = w.floating();
          int n = w.size();
          int hidden = w.size();
          int inner = w.size();
          Tensor up = w.chance(0.3) ? null : w.tensor(dtype, n, inner, hidden);
          return args(w.tensor(dtype, n, inner, hidden), up, w.tensor(dtype, n, hidden, inner));
        });
    call(
        "ResidentExperts.new(Tensor[],Tensor[],Tensor[])",
        w -> {
          DType dtype = w.floating();
          int n = w.size();
          return args(
              matrices(w, dtype, n, 3, 5),
              matrices(w, dtype, n, 3, 5),
              matrices(w, dtype, n, 5, 3));
        });
    call(
        "ResidentExperts.new(Tensor[],Tensor[],Tensor[],Tensor[],Tensor[],Tensor[])",
        w -> {
          DType dtype = w.floating();
          int n = w.size();
          return args(
              matrices(w, dtype, n, 3, 5),
              matrices(w, dtype, n, 3, 5),
              matrices(w, dtype, n, 5, 3),
              matrices(w, DType.F32, n, 3),
              matrices(w, DType.F32, n, 3),
              matrices(w, DType.F32, n, 5));
        });
    call("ResidentExperts.acquire(int[],int)", w -> acquired(w, some(ResidentExperts.class, w)));
    call("Experts.acquire(int[],int)", w -> acquired(w, some(Experts.class, w)));
    call(
        "Experts.acquireAsRead(int[],int,int[])",
        w -> {
          Object[] acquired = acquired(w, some(Experts.class, w));
          return args(acquired[0], acquired[1], acquired[2], new int[w.oneOf(0, 2, 3, 4)]);
        });
    call("Experts.hint(int[],int)", w -> acquired(w, some(Experts.class, w)));
    call("Experts.isResident(int)", w -> args(some(Experts.class, w), w.below(4)));
    call("ResidentExperts.isResident(int)", w -> args(some(ResidentExperts.class, w), w.below(4)));
  }

  /** Experts whose acquire and release do nothing: hostile code may forget to release. */
  private record Unheld(ResidentExperts all) implements Experts {
    @Override
    public int numExperts() {
      return all.numExperts();
    }

    @Override
    public long hiddenSize() {
      return all.hiddenSize();
    }

    @Override
    public long intermediateSize() {
      return all.intermediateSize();
    }

    @Override
    public int maxPinned() {
      return all.maxPinned();
    }

    @Override
    public boolean isResident(int expert) {
      return all.isResident(expert);
    }

    @Override
    public void acquire(int[] expertIds, int count) {}

    @Override
    public ExpertMatrices gateUp() {
      return all.gateUp();
    }

    @Override
    public ExpertMatrices down() {
      return all.down();
    }

    @Override
    public void release() {}

    @Override
    public void hint(int[] expertIds, int count) {}
  }

  private static Matrix[] matrices(
      World world, int count, WeightFormat format, int rows, int columns) {
    Matrix[] matrices = new Matrix[count];
    for (int i = 0; i < count; i++) matrices[i] = world.matrix(format, rows, columns);
    return matrices;
  }

  private static Object[] acquired(World world, Experts experts) {
    int count = world.oneOf(0, 1, 1, 2, 3);
    int[] ids = new int[count];
    for (int i = 0; i < count; i++) ids[i] = i + world.below(2) * (i + 1 == count ? 1 : 0);
    return args(experts, ids, count);
  }

  private static Tensor[] matrices(World world, DType dtype, int count, long... shape) {
    Tensor[] matrices = new Tensor[count];
    for (int i = 0; i < count; i++) matrices[i] = world.tensor(dtype, shape);
    return matrices;
  }

  /** Some as large as what the system takes back at once when it is freed. */
  static ResidentExperts experts(World world, int n, int hidden, int inner) {
    DType dtype = world.floating();
    if (world.chance(0.03)) {
      n = 1;
      hidden = 512;
      inner = 1024;
    }
    Tensor up = world.chance(0.2) ? null : world.tensor(dtype, n, inner, hidden);
    return world.keep(
        ResidentExperts.stacked(
            world.tensor(dtype, n, inner, hidden), up, world.tensor(dtype, n, hidden, inner)));
  }

  private static void addMoeLayer() {
    call(
        "MoeLayer.builder(Linear,TopKRouter,Experts)",
        w -> {
          Experts experts = some(Experts.class, w);
          return args(
              w.keep(linear(w, small(experts.numExperts()), small(experts.hiddenSize()))),
              some(TopKRouter.class, w),
              experts);
        });
    call(
        "MoeLayer.Builder.shared(FeedForward)",
        w -> args(moeBuilder(w), some(FeedForward.class, w)));
    call(
        "MoeLayer.Builder.sharedGate(Linear)",
        w -> {
          Experts experts = w.keep(experts(w, 1, w.size(), w.size()));
          int hidden = (int) experts.hiddenSize();
          MoeLayer.Builder builder =
              MoeLayer.builder(
                  w.keep(linear(w, 1, hidden)), TopKRouter.softmax(1).build(), experts);
          if (w.chance(0.8)) builder.shared(w.keep(feedForward(w, hidden, w.size())));
          return args(builder, w.keep(linear(w, 1, hidden)));
        });
    call("MoeLayer.forward(Backend,Tensor,Tensor)", LayerRecipes::forward);
    call(
        "MoeLayer.computeHeld(Backend,Tensor,Tensor)",
        w -> {
          if (!(w.held instanceof MoeLayer layer)) return forward(w);
          Tensor hidden = w.heldInput == null ? hidden(w, layer, 1) : w.heldInput;
          return args(layer, w.backend(), hidden, hidden(w, layer, (int) hidden.dim(0)));
        });
    call(
        "MoeLayer.hold()",
        w -> {
          MoeLayer layer = some(MoeLayer.class, w);
          if (w.held != null) return args(layer);
          w.heldInput = hidden(w, layer, w.rows());
          layer.choose(w.backend(), w.heldInput);
          return args(layer);
        });
    call(
        "MoeLayer.choose(Backend,Tensor)",
        w -> {
          MoeLayer layer = some(MoeLayer.class, w);
          return args(layer, w.backend(), hidden(w, layer, w.rows()));
        });
    call(
        "MoeLayer.route(Backend,Tensor,Routing)",
        w -> {
          MoeLayer layer = some(MoeLayer.class, w);
          return args(layer, w.backend(), hidden(w, layer, w.rows()), some(Routing.class, w));
        });
  }

  private static Object[] forward(World world) {
    MoeLayer layer = some(MoeLayer.class, world);
    int rows = world.rows();
    return args(layer, world.backend(), hidden(world, layer, rows), hidden(world, layer, rows));
  }

  private static Tensor hidden(World world, MoeLayer layer, int rows) {
    return world.tensor(world.f32OrBf16(), rows, small(layer.experts().hiddenSize()));
  }

  /** Hostile experts may say any size. */
  private static int small(long size) {
    return (int) Math.max(1, Math.min(size, 1024));
  }

  private static MoeLayer.Builder moeBuilder(World world) {
    Experts experts = null;
    boolean hostile = world.hostile != null && world.chance(0.1);
    if (hostile) experts = (Experts) world.hostile.implement(Experts.class);
    else if (world.chance(0.4)) experts = MemoryRecipes.cachedExperts(world);
    if (experts == null)
      experts = experts(world, world.oneOf(1, 2, 4, 4, 8), world.size(), world.size());
    int hidden = small(experts.hiddenSize());
    Linear router = world.keep(linear(world, small(experts.numExperts()), hidden));
    TopKRouter rule =
        world.chance(0.5) ? TopKRouter.softmax(1).build() : some(TopKRouter.class, world);
    MoeLayer.Builder builder = MoeLayer.builder(router, rule, experts);
    if (hostile) world.taint.mark(builder);
    if (world.chance(0.3)) builder.shared(world.keep(feedForward(world, hidden, world.size())));
    else if (world.chance(0.1)) builder.everyExpert(true);
    return builder;
  }
}
