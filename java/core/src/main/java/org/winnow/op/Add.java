package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.AddArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;

/**
 * Adds one tensor to another: the residual connection.
 *
 * <pre>{@code
 * accumulator[r, i] += addend[r, i]
 * }</pre>
 *
 * Native contract: {@code add.h}.
 */
public final class Add {
  private Add() {}

  /**
   * @param accumulator [numRows, hiddenSize] f32, overwritten
   * @param addend [numRows, hiddenSize] f32; may be {@code accumulator} itself
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(Backend backend, Tensor accumulator, Tensor addend) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      accumulator.require("accumulator", F32, Tensor.ANY, Tensor.ANY);
      accumulator.requireIn("accumulator", memory);
      addend.require("addend", F32, accumulator.dim(0), accumulator.dim(1));
      addend.requireIn("addend", memory);
      AddArguments arguments = call.arguments().add;
      arguments
          .accumulator(argument(accumulator))
          .addend(argument(addend))
          .size(accumulator.size());
      Internals.kernels(backend).add(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(accumulator);
      Reference.reachabilityFence(addend);
    }
  }
}
