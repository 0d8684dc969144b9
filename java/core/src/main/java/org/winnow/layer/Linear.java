package org.winnow.layer;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.internal.NativeCall;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm;

/**
 * A linear map: {@code output[t, n] = bias[n] + sum_k input[t, k] * weight[n, k]}. Its activations
 * are f32 or bf16: with bf16, each element of an f32 input is rounded to bf16 before it is
 * multiplied, unless the weight is f32. It runs as a grouped GEMM with one expert. Safe for use
 * from several threads.
 */
public final class Linear implements AutoCloseable {
  private final Matrix weight;
  private final @Nullable Tensor bias; // f32, or null
  private final @Nullable Tensor ownedBias; // the f32 copy of another bias, or null
  private final ExpertMatrices matrices;

  /**
   * @param weight [outputSize, inputSize], f32, bf16 or f16, in the memory of the backend that runs
   *     this; the caller keeps it open while this is used
   * @param bias [outputSize], f32, bf16 or f16, or null; an f32 bias is used in place and the
   *     caller keeps it open, others are copied to f32
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong, or if the
   *     two lie in different memories
   */
  public Linear(Tensor weight, @Nullable Tensor bias) {
    this(weight, bias, F32);
  }

  /**
   * @param activations f32 or bf16
   */
  public Linear(Tensor weight, @Nullable Tensor bias, DType activations) {
    this(Matrix.of(weight), bias, activations);
  }

  /** As the next constructor, with f32 activations. */
  public Linear(Matrix weight, @Nullable Tensor bias) {
    this(weight, bias, F32);
  }

  /**
   * @param weight [outputSize, inputSize] in any format and layout; the caller keeps its planes
   *     open
   * @param bias as in the other constructors
   * @param activations f32 or bf16
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong, or if the
   *     two lie in different memories
   */
  public Linear(Matrix weight, @Nullable Tensor bias, DType activations) {
    weight.requireOpen("weight");
    if (bias != null) {
      bias.requireFloating("bias", new long[] {weight.rows()});
      bias.requireIn("bias", weight.memory());
    }
    this.weight = weight;
    this.ownedBias =
        bias == null || bias.dtype() == F32
            ? null
            : Tensor.of(weight.memory(), bias.toFloatArray(), bias.dim(0));
    this.bias = ownedBias == null ? bias : ownedBias;
    try {
      this.matrices =
          new ExpertMatrices(
              weight.memory(),
              weight.format(),
              weight.layout(),
              ExpertMatrices.productType(weight.format(), activations),
              1,
              weight.rows(),
              weight.columns(),
              false,
              bias != null);
    } catch (RuntimeException | Error e) {
      if (ownedBias != null) ownedBias.close();
      throw e;
    }
    matrices.set(0, weight, null, this.bias, null);
  }

  public long outputSize() {
    return weight.rows();
  }

  public long inputSize() {
    return weight.columns();
  }

  /** The matrix given at construction. */
  public Matrix weight() {
    return weight;
  }

  /** What an f32 input is multiplied in: bf16, or f32 for f32 activations or weights. */
  public DType productType() {
    return matrices.productType();
  }

  /** The bias as f32, or null. */
  public @Nullable Tensor bias() {
    return bias;
  }

  /**
   * @param input [T, inputSize], f32 or bf16
   * @param output [T, outputSize], f32 or bf16, overwritten; must not overlap the input
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor, this or the backend is closed
   */
  public void run(Backend backend, Tensor input, Tensor output) {
    run(backend, input, Activation.NONE, output);
  }

  /**
   * The same, with an activation of the result.
   *
   * @throws IllegalArgumentException also for an activation that {@linkplain Activation#needsGate
   *     needs} an up value
   */
  public void run(Backend backend, Tensor input, Activation activation, Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      requireOpen();
      output.requireFloating("output", input.rank() == 0 ? ANY : input.dim(0), outputSize());
      GroupedGemm.runSingle(backend, input, matrices, activation, output);
    } finally {
      call.exit();
      Reference.reachabilityFence(this);
    }
  }

  /**
   * The product of {@link #run}, for a layer that computes it together with other products. The
   * caller must keep this open.
   */
  public GroupedGemm.Product product(Tensor input, Tensor output) {
    return GroupedGemm.Product.single(input, matrices, Activation.NONE, output);
  }

  /**
   * @throws IllegalStateException if this, the weight or the bias is closed
   */
  public void requireOpen() {
    weight.requireOpen("weight");
    if (bias != null) bias.require("bias", F32, ANY);
  }

  /**
   * Releases the tensors that this allocated. The weight and an f32 bias stay open. May be called
   * twice.
   */
  @Override
  public void close() {
    matrices.close();
    if (ownedBias != null) ownedBias.close();
  }
}
