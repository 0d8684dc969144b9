package org.winnow.cli;

import static org.winnow.Tensor.ANY;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.op.Activation;
import org.winnow.op.ActiveColumns;
import org.winnow.op.ColumnRule;
import org.winnow.op.NeuronMatrices;
import org.winnow.op.SparseFfn;

/** Cases of {@code sparse_ffn} whose columns a controller or the gate chooses. */
final class SparseFfnCheck implements OperationCheck {
  @Override
  public void run(OperationCase given) {
    Tensor input = given.input("input.hidden", ANY, ANY);
    try (NeuronMatrices neurons = neurons(given, input.dim(1));
        ActiveColumns columns = new ActiveColumns(given.backend().memory())) {
      switch (given.option("mode")) {
        case "block_controller" -> {
          Tensor logits = blockLogits(given, input, neurons);
          int blockSize = given.count("block_size");
          ColumnRule rule = ColumnRule.topKOfBlocks(blockSize, given.count("top_m"));
          if (given.option("scale").equals("softmax")) rule = rule.scaledBySoftmax();
          columns.choose(given.backend(), logits, null, rule);
          runLists(given, input, neurons, columns);
        }
        case "predictor" -> {
          Tensor logits = predictorLogits(given, input, neurons);
          ColumnRule rule =
              given.option("select").equals("top_k")
                  ? ColumnRule.topK(given.count("top_k"))
                  : ColumnRule.threshold(given.number("threshold"));
          columns.choose(given.backend(), logits, null, rule);
          runLists(given, input, neurons, columns);
        }
        default -> runGateFirst(given, input, neurons);
      }
    }
  }

  private static NeuronMatrices neurons(OperationCase given, long hiddenSize) {
    Tensor first = given.floating("weight.w1", ANY, hiddenSize);
    long size = first.dim(0);
    @Nullable Tensor up =
        given.holds("weight.w3") ? given.floating("weight.w3", size, hiddenSize) : null;
    Tensor down = given.floating("weight.w2", size, hiddenSize);
    Tensor[] rows = up == null ? new Tensor[] {first, down} : new Tensor[] {first, up, down};
    Tensor records = given.allocate(first.dtype(), size, rows.length, hiddenSize);
    for (int r = 0; r < rows.length; r++)
      for (long i = 0; i < size; i++)
        records
            .slice(i, i + 1)
            .reshape(rows.length, hiddenSize)
            .slice(r, r + 1)
            .copyFrom(rows[r].slice(i, i + 1));
    boolean compensates =
        given.has("mean_compensation") && given.option("mean_compensation").equals("true");
    NeuronMatrices neurons =
        new NeuronMatrices(
            records,
            given.f32OrNull("weight.b1", size),
            given.f32OrNull("weight.b2", hiddenSize),
            compensates ? given.f32("weight.mean_activation", size) : null);
    Tensor compensation = neurons.compensation();
    if (compensation != null) given.judge("compensation", compensation.toFloatArray(), hiddenSize);
    return neurons;
  }

  /** As {@code controller_1 [d, r]} and {@code controller_2 [r, blocks, block size]} give them. */
  private static Tensor blockLogits(OperationCase given, Tensor input, NeuronMatrices neurons) {
    long rank = given.count("rank");
    long blocks = given.count("blocks");
    long blockSize = given.count("block_size");
    Tensor reduce = given.f32("weight.controller_1", input.dim(1), rank);
    Tensor expand = given.f32("weight.controller_2", rank, blocks, blockSize);
    Tensor logits =
        logits(
            given,
            input,
            given.transposed(reduce),
            given.transposed(expand.reshape(rank, blocks * blockSize)),
            given.f32OrNull("weight.controller_bias", blocks, blockSize),
            Activation.NONE,
            neurons);
    given.judge("controller_logits", logits.toFloatArray(), input.dim(0), blocks, blockSize);
    return logits;
  }

  /** As {@code predictor_a [d, r]} and {@code predictor_b [f, r]} give them. */
  private static Tensor predictorLogits(OperationCase given, Tensor input, NeuronMatrices neurons) {
    long rank = given.count("rank");
    boolean rectified = given.option("predictor").equals("relu");
    Tensor logits =
        logits(
            given,
            input,
            given.transposed(given.f32("weight.predictor_a", input.dim(1), rank)),
            given.f32("weight.predictor_b", neurons.intermediateSize(), rank),
            null,
            rectified ? Activation.RELU : Activation.NONE,
            neurons);
    given.judge("predictor_logits", logits.toFloatArray(), logits.shape());
    return logits;
  }

  private static Tensor logits(
      OperationCase given,
      Tensor input,
      Tensor reduceWeight,
      Tensor expandWeight,
      @Nullable Tensor bias,
      Activation between,
      NeuronMatrices neurons) {
    Tensor low = given.result(input.dim(0), reduceWeight.dim(0));
    Tensor logits = given.result(input.dim(0), neurons.intermediateSize());
    @Nullable Tensor flat = bias == null ? null : bias.reshape(neurons.intermediateSize());
    try (Linear reduce = new Linear(reduceWeight, null);
        Linear expand = new Linear(expandWeight, flat)) {
      reduce.run(given.backend(), input, between, low);
      expand.run(given.backend(), low, logits);
    }
    return logits;
  }

  private static void runLists(
      OperationCase given, Tensor input, NeuronMatrices neurons, ActiveColumns columns) {
    Tensor hidden = given.result(input.dim(0), columns.capacity());
    Tensor output = given.result(input.dim(0), input.dim(1));
    Activation activation = given.has("activation") ? activation(given) : Activation.RELU;
    SparseFfn.run(given.backend(), input, neurons, activation, columns, hidden, output);
    int[][] lists = new int[columns.numTokens()][];
    float[] values = hidden.toFloatArray();
    float[][] kept = new float[lists.length][];
    for (int t = 0; t < lists.length; t++) {
      lists[t] = columns.columnsOf(t);
      int begin = t * columns.capacity();
      kept[t] = Arrays.copyOfRange(values, begin, begin + lists[t].length);
    }
    judge(given, lists, kept, output);
  }

  private static void runGateFirst(OperationCase given, Tensor input, NeuronMatrices neurons) {
    int numColumns = neurons.intermediateSize();
    Tensor output = given.result(input.dim(0), input.dim(1));
    Activation activation = activation(given);
    // dReLU has the gate of ReLU, and zeros of its own behind it
    Activation gate = activation == Activation.DRELU ? Activation.RELU : activation;
    float[] passed = runGateFirst(given, input, neurons, gate, output);
    float[] values = runGateFirst(given, input, neurons, activation, output);
    int[][] lists = new int[(int) input.dim(0)][];
    float[][] kept = new float[lists.length][];
    for (int t = 0; t < lists.length; t++) {
      int row = t * numColumns;
      lists[t] = IntStream.range(0, numColumns).filter(i -> passed[row + i] != 0).toArray();
      kept[t] = new float[lists[t].length];
      for (int p = 0; p < kept[t].length; p++) kept[t][p] = values[row + lists[t][p]];
    }
    judge(given, lists, kept, output);
  }

  /** Returns the hidden values. */
  private static float[] runGateFirst(
      OperationCase given,
      Tensor input,
      NeuronMatrices neurons,
      Activation activation,
      Tensor output) {
    Tensor hidden = given.result(input.dim(0), neurons.intermediateSize());
    float threshold = given.number("threshold");
    SparseFfn.runGateFirst(given.backend(), input, neurons, activation, threshold, hidden, output);
    return hidden.toFloatArray();
  }

  private static void judge(OperationCase given, int[][] lists, float[][] hidden, Tensor output) {
    int[] offsets = new int[lists.length + 1];
    for (int t = 0; t < lists.length; t++) offsets[t + 1] = offsets[t] + lists[t].length;
    int[] all = Arrays.stream(lists).flatMapToInt(Arrays::stream).toArray();
    float[] values = new float[all.length];
    for (int t = 0; t < lists.length; t++)
      System.arraycopy(hidden[t], 0, values, offsets[t], lists[t].length);
    given.judge("active_offsets", offsets, offsets.length);
    given.judge("active_columns", all, ANY);
    given.judge("union_columns", Arrays.stream(all).distinct().sorted().toArray(), ANY);
    if (given.holds("expected.hidden_values")) given.judge("hidden_values", values, ANY);
    given.judge("output", output.toFloatArray(), output.shape());
  }

  private static Activation activation(OperationCase given) {
    String name = given.option("activation");
    return switch (name.toLowerCase(Locale.ROOT)) {
      case "relu", "reglu" -> Activation.RELU;
      case "relu2" -> Activation.RELU_SQUARED;
      case "drelu" -> Activation.DRELU;
      case "silu", "swiglu" -> Activation.SILU;
      case "gelu", "geglu" -> Activation.GELU_ERF;
      case "gelu_tanh", "geglu_tanh" -> Activation.GELU_TANH;
      default ->
          throw given.fault(
              "__metadata__: activation",
              "relu, reglu, relu2, drelu, silu, swiglu, gelu, geglu, gelu_tanh or geglu_tanh",
              '"' + name + '"');
    };
  }
}
