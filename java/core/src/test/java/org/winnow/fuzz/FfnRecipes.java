package org.winnow.fuzz;

import static org.winnow.fuzz.Recipes.args;
import static org.winnow.fuzz.Recipes.call;
import static org.winnow.fuzz.Recipes.some;

import java.util.stream.IntStream;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.layer.ColumnController;
import org.winnow.layer.Linear;
import org.winnow.op.Activation;
import org.winnow.op.ActiveColumns;
import org.winnow.op.ColumnRule;
import org.winnow.op.NeuronMatrices;

/** Feed-forward blocks of which only some columns are computed. */
final class FfnRecipes {
  private FfnRecipes() {}

  static void addTo() {
    Recipes.object(ColumnRule.class, FfnRecipes::rule);
    Recipes.object(ActiveColumns.class, w -> listed(w, w.rows(), 8));
    Recipes.object(NeuronMatrices.class, w -> neurons(w, w.oneOf(1, 8, 40)));
    call("ColumnRule.topK(int)", w -> args(1 + w.below(5)));
    call("ColumnRule.topKOfBlocks(int,int)", w -> args(w.oneOf(1, 4, 8), 1 + w.below(4)));
    call(
        "ColumnRule.maxActive(long)",
        w -> args(some(ColumnRule.class, w), (long) w.oneOf(8, 16, 40)));
    call(
        "ActiveColumns.choose(Backend,Tensor,Tensor,ColumnRule)",
        w -> {
          int numColumns = w.oneOf(8, 16, 40, 512);
          return args(
              some(ActiveColumns.class, w),
              w.backend(),
              w.f32(w.rows(), numColumns),
              w.chance(0.5) ? null : w.f32(numColumns),
              some(ColumnRule.class, w));
        });
    call(
        "ActiveColumns.set(int,int[][])",
        w -> args(some(ActiveColumns.class, w), 8, lists(w, w.rows(), 8)));
    call(
        "ActiveColumns.columnsOf(int)",
        w -> {
          ActiveColumns columns = some(ActiveColumns.class, w);
          return args(columns, w.below(Math.max(1, columns.numTokens())));
        });
    Recipes.object(ColumnController.class, FfnRecipes::controller);
    call(
        "Linear.run(Backend,Tensor,Activation,Tensor)",
        w -> {
          Linear linear = some(Linear.class, w);
          int tokens = w.rows();
          return args(
              linear,
              w.backend(),
              w.tensor(w.f32OrBf16(), tokens, linear.inputSize()),
              w.pick(Activation.values()),
              w.tensor(w.f32OrBf16(), tokens, linear.outputSize()));
        });
    call(
        "ColumnController.new(Linear,Linear,boolean,Tensor,ColumnRule)",
        w -> {
          int rank = w.size();
          return args(
              w.keep(LayerRecipes.linear(w, rank, w.size())),
              w.keep(LayerRecipes.linear(w, 8, rank)),
              w.chance(0.5),
              w.chance(0.5) ? null : w.f32(8),
              some(ColumnRule.class, w));
        });
    call(
        "ColumnController.choose(Backend,Tensor,ActiveColumns)",
        w -> {
          ColumnController controller = some(ColumnController.class, w);
          return args(
              controller,
              w.backend(),
              w.tensor(w.f32OrBf16(), w.rows(), controller.hiddenSize()),
              some(ActiveColumns.class, w));
        });
    call(
        "NeuronMatrices.new(Tensor)",
        w -> args(w.tensor(w.floating(), w.oneOf(1, 8), w.oneOf(2, 3), w.width())));
    call(
        "NeuronMatrices.new(Tensor,Tensor,Tensor,Tensor)",
        w -> {
          int numColumns = w.oneOf(1, 8);
          int width = w.width();
          return args(
              w.tensor(w.floating(), numColumns, w.oneOf(2, 3), width),
              w.chance(0.3) ? null : w.f32(numColumns),
              w.chance(0.3) ? null : w.f32(width),
              w.chance(0.3) ? null : w.f32(numColumns));
        });
    call(
        "ModularConvolution.run(Backend,Tensor,Tensor,Tensor,Tensor,Tensor,Tensor)",
        w -> {
          int length = w.oneOf(0, 1, 5);
          int modules = w.oneOf(1, 3);
          int size = w.oneOf(1, 8);
          int covered = w.oneOf(1, 3);
          int outputs = w.oneOf(1, 16);
          DType type = w.f32OrBf16();
          return args(
              w.backend(),
              w.tensor(type, length, modules, size),
              w.chance(0.5) ? null : w.tensor(type, covered - 1, modules, size),
              w.tensor(w.floating(), covered, w.oneOf(1, 3), size, outputs),
              w.chance(0.5) ? null : w.f32(outputs),
              w.f32(length, modules, outputs),
              w.chance(0.5) ? null : w.tensor(type, covered - 1, modules, size));
        });
    call(
        "ThresholdedLinear.run(Backend,Tensor,Tensor,Tensor,float,Tensor)",
        w -> {
          int tokens = w.rows();
          int inputs = w.size();
          int outputs = w.width();
          return args(
              w.backend(),
              w.f32(tokens, inputs),
              w.tensor(w.floating(), inputs, outputs),
              w.chance(0.5) ? null : w.f32(outputs),
              w.chance(0.5) ? 0f : 0.5f,
              w.f32(tokens, outputs));
        });
    call(
        "SparseFfn.run(Backend,Tensor,NeuronMatrices,Activation,ActiveColumns,Tensor,Tensor)",
        w -> {
          NeuronMatrices neurons = some(NeuronMatrices.class, w);
          int tokens = w.rows();
          ActiveColumns columns = w.keep(listed(w, tokens, neurons.intermediateSize()));
          return args(
              w.backend(),
              w.tensor(w.f32OrBf16(), tokens, neurons.hiddenSize()),
              neurons,
              w.pick(Activation.values()),
              columns,
              w.f32(tokens, columns.capacity()),
              w.f32(tokens, neurons.hiddenSize()));
        });
    call(
        "SparseFfn.runGateFirst(Backend,Tensor,NeuronMatrices,Activation,float,Tensor,Tensor)",
        w -> {
          NeuronMatrices neurons = w.keep(neurons(w, w.oneOf(1, 8, 40)));
          int tokens = w.rows();
          return args(
              w.backend(),
              w.tensor(w.f32OrBf16(), tokens, neurons.hiddenSize()),
              neurons,
              w.pick(Activation.values()),
              w.chance(0.5) ? 0f : 0.5f,
              w.f32(tokens, neurons.intermediateSize()),
              w.f32(tokens, neurons.hiddenSize()));
        });
  }

  private static ColumnController controller(World w) {
    int rank = w.size();
    Linear reduce = w.keep(LayerRecipes.linear(w, rank, w.size()));
    Linear expand = w.keep(LayerRecipes.linear(w, 8, rank));
    return new ColumnController(reduce, expand, w.chance(0.5), null, rule(w));
  }

  private static ColumnRule rule(World w) {
    ColumnRule rule =
        switch (w.below(3)) {
          case 0 -> ColumnRule.topK(1 + w.below(5));
          case 1 -> ColumnRule.topKOfBlocks(w.oneOf(1, 4, 8), 1);
          default -> ColumnRule.threshold(w.value());
        };
    return w.chance(0.3) ? rule.scaledBySoftmax() : rule;
  }

  private static int[][] lists(World w, int tokens, int numColumns) {
    int[][] lists = new int[tokens][];
    for (int t = 0; t < tokens; t++)
      lists[t] = IntStream.range(0, numColumns).filter(i -> w.chance(0.4)).toArray();
    return lists;
  }

  private static ActiveColumns listed(World w, int tokens, int numColumns) {
    ActiveColumns columns = new ActiveColumns();
    columns.set(numColumns, lists(w, tokens, numColumns));
    return columns;
  }

  private static NeuronMatrices neurons(World w, int numColumns) {
    Tensor records = w.tensor(w.floating(), numColumns, w.oneOf(2, 3), w.width());
    return new NeuronMatrices(records, w.chance(0.5) ? null : w.f32(numColumns), null, null);
  }
}
