package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.ClampArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;

/**
 * Clamps values in place; NaN stays NaN. OLMoE's {@code clip_qkv} uses it.
 *
 * <pre>{@code
 * values[r, i] = min(max(values[r, i], -limit), limit)
 * }</pre>
 *
 * Native contract: {@code clamp.h}.
 */
public final class Clamp {
  private Clamp() {}

  /**
   * @param values [numRows, width] f32, overwritten
   * @throws IllegalArgumentException if the type or rank is wrong, or the limit is negative or NaN;
   *     nothing has run then
   * @throws IllegalStateException if the tensor or the backend is closed
   */
  public static void run(Backend backend, Tensor values, float limit) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      values.require("values", F32, ANY, ANY);
      values.requireIn("values", memory);
      if (!(limit >= 0))
        throw new IllegalArgumentException("limit must not be negative, found " + limit);
      ClampArguments arguments = call.arguments().clamp;
      arguments.values(argument(values)).size(values.size()).limit(limit);
      Internals.kernels(backend).clamp(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(values);
    }
  }
}
