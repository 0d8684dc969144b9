package org.winnow.op;

import static org.winnow.DType.BF16;
import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.address;
import static org.winnow.internal.Internals.argument;
import static org.winnow.internal.Internals.argumentOrNull;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.SparseFfnArguments;
import org.winnow.internal.Status;

/**
 * Feed-forward block that computes only the active columns of each token.
 *
 * <pre>{@code
 * gate[t, i]   = gateBias[i] + sum_k input[t, k] * w1[i, k]
 * up[t, i]     = sum_k input[t, k] * w3[i, k]   (gated blocks only)
 * h[t, i]      = scale[t, i] * activation(gate[t, i])  or  scale[t, i] * activation(gate[t, i], up[t, i])
 * output[t, j] = outputBias[j] + sum_i h[t, i] * w2[i, j]   for the active columns i of token t
 *                + sum_i meanActivation[i] * w2[i, j]       for the others, if there are means
 * }</pre>
 *
 * The weights of a column that no token computes are not read. Sums are f32; a token's bits do not
 * depend on the other tokens or the number of threads. Native contract: {@code sparse_ffn.h}.
 */
public final class SparseFfn {
  private SparseFfn() {}

  /**
   * Computes the columns that a controller chose.
   *
   * @param input [numTokens, hiddenSize], f32 or bf16
   * @param columns the columns of each token
   * @param activation without {@linkplain Activation#needsGate needing} another form of gate
   * @param hiddenValues [numTokens, capacity of the columns] f32: gets h in the order of the lists
   * @param output [numTokens, hiddenSize] f32, overwritten; overlaps no input
   * @throws IllegalArgumentException naming the argument whose shape, type or memory is wrong, or
   *     the token whose list does not ascend within the columns (a device does not check lists);
   *     nothing has been written then
   * @throws IllegalStateException if a tensor, the matrices, the columns or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      NeuronMatrices weights,
      Activation activation,
      ActiveColumns columns,
      Tensor hiddenValues,
      Tensor output) {
    run(backend, input, weights, activation, columns, -1, hiddenValues, output);
  }

  /**
   * Computes every gate, and of each token only the columns whose activated gate exceeds a
   * threshold in magnitude. A threshold of 0 loses nothing where the activation has zeros.
   *
   * @param threshold at least 0
   * @param hiddenValues [numTokens, intermediateSize] f32: gets h, 0 where the gate does not pass
   * @throws IllegalArgumentException also if the threshold is negative or NaN, or if the weights
   *     have mean activations
   */
  public static void runGateFirst(
      Backend backend,
      Tensor input,
      NeuronMatrices weights,
      Activation activation,
      float threshold,
      Tensor hiddenValues,
      Tensor output) {
    if (!(threshold >= 0))
      throw new IllegalArgumentException("threshold must not be negative, found " + threshold);
    if (weights.meanActivation() != null)
      throw new IllegalArgumentException(
          "weights must have no mean activation where the gate decides, found one");
    run(backend, input, weights, activation, null, threshold, hiddenValues, output);
  }

  private static void run(
      Backend backend,
      Tensor input,
      NeuronMatrices weights,
      Activation activation,
      @Nullable ActiveColumns columns,
      float threshold,
      Tensor hiddenValues,
      Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      if (activation.needsGate())
        throw new IllegalArgumentException(
            "activation must be a function of the gate, found " + activation);
      weights.requireOpen();
      weights.records().requireIn("weights", memory);
      input.requireFloating("input", ANY, weights.hiddenSize());
      input.requireIn("input", memory);
      if (input.dtype() != F32 && input.dtype() != BF16)
        throw new IllegalArgumentException("input must be f32 or bf16, found " + input.dtype());
      long numTokens = input.dim(0);
      long capacity = weights.intermediateSize();
      SparseFfnArguments arguments = call.arguments().sparseFfn;
      if (columns == null) {
        arguments.columnCounts(0).activeColumns(0).columnScales(0);
      } else {
        columns.requireOpen();
        columns.requireIn(memory);
        capacity = describe(columns, numTokens, weights.intermediateSize(), output, arguments);
      }
      hiddenValues.require("hiddenValues", F32, numTokens, capacity);
      hiddenValues.requireIn("hiddenValues", memory);
      output.require("output", F32, numTokens, weights.hiddenSize());
      output.requireIn("output", memory);
      output.requireDisjoint("output", "input", input);
      output.requireDisjoint("output", "hiddenValues", hiddenValues);
      output.requireDisjoint("output", "weights", weights.records());
      hiddenValues.requireDisjoint("hiddenValues", "input", input);
      hiddenValues.requireDisjoint("hiddenValues", "weights", weights.records());
      arguments
          .input(argument(input))
          .blocks(address(weights.blocks()))
          .gateBias(argumentOrNull(weights.gateBias()))
          .outputBias(argumentOrNull(weights.start()))
          .meanActivation(argumentOrNull(weights.meanActivation()))
          .hiddenValues(argument(hiddenValues))
          .output(argument(output))
          .numTokens(numTokens)
          .hiddenSize(weights.hiddenSize())
          .intermediateSize(weights.intermediateSize())
          .blockColumns(weights.intermediateSize())
          .capacity(capacity)
          .inputType(input.dtype().code())
          .weightFormat(weights.format().code())
          .activation(activation.code())
          .gated(weights.isGated() ? 1 : 0)
          .threshold(threshold);
      if (Internals.kernels(backend).sparseFfn(arguments) == Status.REFUSED)
        throw new IllegalArgumentException(
            "columns of token "
                + arguments.detail()
                + " must ascend within [0, "
                + weights.intermediateSize()
                + ")");
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(weights);
      Reference.reachabilityFence(columns);
      Reference.reachabilityFence(hiddenValues);
      Reference.reachabilityFence(output);
    }
  }

  /**
   * Returns the capacity of the lists. Each tensor is asked once: another thread may replace it.
   */
  private static long describe(
      ActiveColumns columns,
      long numTokens,
      int numColumns,
      Tensor output,
      SparseFfnArguments arguments) {
    Tensor counts = columns.columnCounts();
    Tensor lists = columns.activeColumns();
    Tensor scales = columns.columnScales();
    long capacity = columns.capacity();
    boolean scaled = columns.isScaled();
    if (columns.numTokens() != numTokens || columns.numColumns() != numColumns)
      throw new IllegalArgumentException(
          "columns must be of "
              + numTokens
              + " tokens and "
              + numColumns
              + " columns, found "
              + columns);
    if (counts.size() < numTokens
        || lists.size() < numTokens * capacity
        || scales.size() < numTokens * capacity)
      throw new IllegalStateException("columns are being chosen by another thread");
    output.requireDisjoint("output", "columns", lists);
    output.requireDisjoint("output", "columns", counts);
    arguments
        .columnCounts(address(counts))
        .activeColumns(address(lists))
        .columnScales(scaled ? address(scales) : 0);
    return capacity;
  }
}
