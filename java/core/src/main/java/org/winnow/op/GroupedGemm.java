package org.winnow.op;

import static org.winnow.DType.BF16;
import static org.winnow.DType.F32;
import static org.winnow.DType.I32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;
import static org.winnow.internal.Internals.argumentOrNull;

import java.lang.ref.Reference;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.ExpertNotResidentException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Status;

/**
 * Expert-grouped GEMM: every expert multiplies the rows routed to it by its own matrix.
 *
 * <pre>{@code
 * gate[r, n]   = bias_e[n] + sum_k input[sourceRows[r], k] * weight_e[n, k]
 * up[r, n]     = upBias_e[n] + sum_k input[sourceRows[r], k] * up_e[n, k]   (gated matrices only)
 * output[r, n] = activation(gate[r, n])  or  activation(gate[r, n], up[r, n])
 * for r in [expertOffsets[e], expertOffsets[e + 1])
 * }</pre>
 *
 * All tensors are row-major. Sums are accumulated in f32 and rounded once to the output's type. A
 * row's bits do not depend on the other active experts or on the number of threads. On the CPU they
 * do not depend on the number of rows per expert either; CUDA uses one order of summation for few
 * rows and another for many. Native contract: {@code grouped_gemm.h}.
 */
public final class GroupedGemm {
  private GroupedGemm() {}

  /**
   * The arguments of one grouped product, described at {@link #run}. For a plain product (see
   * {@link #runSingle}) {@code sourceRows}, {@code expertOffsets} and {@code activeExperts} are all
   * null.
   */
  public record Product(
      Tensor input,
      @Nullable Tensor sourceRows,
      @Nullable Tensor expertOffsets,
      @Nullable Tensor activeExperts,
      int numActive,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    /** The arguments of a plain product, described at {@link #runSingle}. */
    public static Product single(
        Tensor input, ExpertMatrices weights, Activation activation, Tensor output) {
      return new Product(input, null, null, null, 1, weights, activation, output);
    }

    private void describe(GroupedGemmArguments arguments) {
      GroupedGemm.describe(
          arguments,
          input,
          sourceRows,
          expertOffsets,
          activeExperts,
          numActive,
          weights,
          activation,
          output);
    }
  }

  /**
   * Multiplies tokens by the experts that a plan assigns to them.
   *
   * @param input [numTokens, inputSize], f32 or bf16: row r reads the token {@code
   *     plan.sourceRows()[r]}
   * @param weights the resident experts' matrices, valid until this returns
   * @param output [at least plan.numRows(), outputSize], f32 or bf16; must not overlap the inputs
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws ExpertNotResidentException naming the first active expert without weights; nothing has
   *     been written then. On a device the check waits for the plan, unless every expert has
   *     weights
   * @throws IllegalStateException if a tensor, the plan, the matrices or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      ExpertPlan plan,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    plan.requireOpen();
    if (output.rank() == 2 && output.dim(0) < plan.numRows()) {
      throw new IllegalArgumentException(
          "output must be [at least "
              + plan.numRows()
              + ", "
              + weights.outputSize()
              + "], found "
              + output);
    }
    run(
        backend,
        input,
        plan.sourceRows(),
        plan.expertOffsets(),
        plan.activeExperts(),
        plan.maxActiveExperts(),
        weights,
        activation,
        output);
  }

  /**
   * @param input [numTokens, inputSize], f32 or bf16
   * @param sourceRows [at least numRows] i32: the input row that each row reads; if null, row r
   *     reads input row r
   * @param expertOffsets [numExperts + 1] i32, ascending: the first row of each expert; the last
   *     entry is numRows
   * @param activeExperts [at least numActive] i32: the experts to compute, ascending; entries of -1
   *     may follow. Rows of other experts are not written
   * @param weights the resident experts' matrices, valid until this returns
   * @param output [at least numRows, outputSize], f32 or bf16; must not overlap the inputs
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws ExpertNotResidentException naming the first active expert that has rows but no weights;
   *     nothing has been written then. On a device the check waits for the indices, unless every
   *     expert has weights
   * @throws IllegalStateException if a tensor, the matrices or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor input,
      @Nullable Tensor sourceRows,
      Tensor expertOffsets,
      Tensor activeExperts,
      int numActive,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      check(backend.memory(), input, weights, activation, output);
      checkIndices(
          backend.memory(), sourceRows, expertOffsets, activeExperts, numActive, weights, output);
      if (!weights.isComplete() && !backend.memory().isHost())
        requireResident(expertOffsets, activeExperts.slice(0, numActive), weights);
      GroupedGemmArguments arguments = call.arguments().groupedGemm[0];
      describe(
          arguments,
          input,
          sourceRows,
          expertOffsets,
          activeExperts,
          numActive,
          weights,
          activation,
          output);
      compute(backend, arguments.next(null));
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(sourceRows);
      Reference.reachabilityFence(expertOffsets);
      Reference.reachabilityFence(activeExperts);
      Reference.reachabilityFence(weights);
      Reference.reachabilityFence(output);
    }
  }

  /**
   * A plain product: multiplies every input row by the matrices of expert 0.
   *
   * @param input [T, inputSize], f32 or bf16
   * @param weights one expert's matrices
   * @param output [rows, outputSize], f32 or bf16; min(rows, T) rows are computed, further rows are
   *     not written
   */
  public static void runSingle(
      Backend backend, Tensor input, ExpertMatrices weights, Activation activation, Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      check(backend.memory(), input, weights, activation, output);
      if (!weights.isResident(0) && !backend.memory().isHost() && input.dim(0) > 0)
        throw new ExpertNotResidentException(0);
      GroupedGemmArguments arguments = call.arguments().groupedGemm[0];
      describe(arguments, input, null, null, null, 1, weights, activation, output);
      compute(backend, arguments.next(null));
    } finally {
      call.exit();
      Reference.reachabilityFence(input);
      Reference.reachabilityFence(weights);
      Reference.reachabilityFence(output);
    }
  }

  /**
   * Computes several products, in one launch if the backend supports that. No product may read what
   * another one writes.
   *
   * <p>Precondition: every active expert is resident. It is not checked on a device; rows of a
   * missing expert become NaN.
   *
   * @param products in any number; null is none
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws ExpertNotResidentException on the CPU, as {@link #run}
   * @throws IllegalStateException if a tensor, the matrices or the backend is closed
   */
  public static void runTogether(Backend backend, Product... products) {
    Product[] own = products.clone(); // another thread may change the caller's array
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      for (Product product : own) if (product != null) check(memory, product);
      GroupedGemmArguments[] all = call.arguments().groupedGemm;
      GroupedGemmArguments chain = null;
      int length = 0;
      for (int i = own.length - 1; i >= 0; i--) {
        if (own[i] == null) continue;
        GroupedGemmArguments arguments = all[length++];
        own[i].describe(arguments);
        chain = arguments.next(chain);
        if (length < all.length) continue;
        compute(backend, chain);
        chain = null;
        length = 0;
      }
      if (chain != null) compute(backend, chain);
    } finally {
      call.exit();
      Reference.reachabilityFence(own);
    }
  }

  private static void compute(Backend backend, GroupedGemmArguments arguments) {
    if (Internals.kernels(backend).groupedGemm(arguments) == Status.REFUSED)
      throw new ExpertNotResidentException((int) arguments.detail());
  }

  private static void describe(
      GroupedGemmArguments arguments,
      Tensor input,
      @Nullable Tensor sourceRows,
      @Nullable Tensor expertOffsets,
      @Nullable Tensor activeExperts,
      int numActive,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    weights.describe(arguments);
    arguments
        .input(argument(input))
        .sourceRows(argumentOrNull(sourceRows))
        .expertOffsets(argumentOrNull(expertOffsets))
        .activeExperts(argumentOrNull(activeExperts))
        .output(argument(output))
        .numTokens(input.dim(0))
        .numRows(Math.min(output.dim(0), sourceRows == null ? input.dim(0) : sourceRows.dim(0)))
        .numActive(numActive)
        .inputType(input.dtype().code())
        .activation(activation.code())
        .outputType(output.dtype().code());
  }

  /**
   * Checks a device's product on the host before it runs, because a device reports no missing
   * expert.
   */
  private static void requireResident(
      Tensor expertOffsets, Tensor activeExperts, ExpertMatrices weights) {
    int[] offsets = expertOffsets.toIntArray();
    for (int expert : activeExperts.toIntArray()) {
      if (expert >= weights.numExperts())
        throw new IllegalArgumentException(
            "activeExperts must lie below " + weights.numExperts() + ", found " + expert);
      if (expert >= 0 && offsets[expert] < offsets[expert + 1] && !weights.isResident(expert))
        throw new ExpertNotResidentException(expert);
    }
  }

  private static void check(TensorMemory memory, Product product) {
    check(memory, product.input, product.weights, product.activation, product.output);
    if (product.expertOffsets != null
        || product.activeExperts != null
        || product.sourceRows != null)
      checkIndices(
          memory,
          product.sourceRows,
          Objects.requireNonNull(product.expertOffsets, "expertOffsets"),
          Objects.requireNonNull(product.activeExperts, "activeExperts"),
          product.numActive,
          product.weights,
          product.output);
    else if (product.numActive != 1)
      throw new IllegalArgumentException(
          "numActive must be 1 for a plain product, found " + product.numActive);
  }

  private static void check(
      TensorMemory memory,
      Tensor input,
      ExpertMatrices weights,
      Activation activation,
      Tensor output) {
    input.requireIn("input", memory);
    weights.requireIn("weights", memory);
    output.requireIn("output", memory);
    input.requireFloating("input", ANY, weights.inputSize());
    output.requireFloating("output", ANY, weights.outputSize());
    requireF32OrBf16("input", input.dtype());
    requireF32OrBf16("output", output.dtype());
    if (activation.needsGate() && !weights.isGated()) {
      throw new IllegalArgumentException(
          "activation must be one without a gate, found "
              + activation
              + ": the matrices are not gated");
    }
    output.requireDisjoint("output", "input", input);
    weights.requireOpen();
  }

  private static void checkIndices(
      TensorMemory memory,
      @Nullable Tensor sourceRows,
      Tensor expertOffsets,
      Tensor activeExperts,
      int numActive,
      ExpertMatrices weights,
      Tensor output) {
    if (sourceRows != null) {
      sourceRows.require("sourceRows", I32, ANY);
      sourceRows.requireIn("sourceRows", memory);
      output.requireDisjoint("output", "sourceRows", sourceRows);
    }
    expertOffsets.require("expertOffsets", I32, weights.numExperts() + 1L);
    expertOffsets.requireIn("expertOffsets", memory);
    activeExperts.require("activeExperts", I32, ANY);
    activeExperts.requireIn("activeExperts", memory);
    output.requireDisjoint("output", "expertOffsets", expertOffsets);
    output.requireDisjoint("output", "activeExperts", activeExperts);
    if (numActive < 0 || numActive > activeExperts.dim(0)) {
      throw new IllegalArgumentException(
          "numActive must lie in [0, " + activeExperts.dim(0) + "], found " + numActive);
    }
  }

  private static void requireF32OrBf16(String name, DType dtype) {
    if (dtype != F32 && dtype != BF16)
      throw new IllegalArgumentException(name + " must be f32 or bf16, found " + dtype);
  }
}
