package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.DType.I32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.EmbeddingArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Status;

/**
 * Looks up rows of a table and widens them to f32.
 *
 * <pre>{@code
 * output[t, i] = table[tokenIds[t], i]
 * }</pre>
 *
 * Native contract: {@code embedding.h}.
 */
public final class Embedding {
  private Embedding() {}

  /**
   * @param table [vocabularySize, hiddenSize], f32, bf16 or f16
   * @param tokenIds [numTokens] i32
   * @param output [numTokens, hiddenSize] f32, overwritten; must not overlap the inputs
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong, or the first
   *     token id that is not in the table; nothing has run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(Backend backend, Tensor table, Tensor tokenIds, Tensor output) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      table.requireFloating("table", ANY, ANY);
      table.requireIn("table", memory);
      tokenIds.require("tokenIds", I32, ANY);
      tokenIds.requireIn("tokenIds", memory);
      output.require("output", F32, tokenIds.dim(0), table.dim(1));
      output.requireIn("output", memory);
      output.requireDisjoint("output", "table", table);
      output.requireDisjoint("output", "tokenIds", tokenIds);
      EmbeddingArguments arguments = call.arguments().embedding;
      arguments
          .table(argument(table))
          .tokenIds(argument(tokenIds))
          .output(argument(output))
          .numTokens(tokenIds.dim(0))
          .vocabularySize(table.dim(0))
          .hiddenSize(table.dim(1))
          .tableType(table.dtype().code());
      if (Internals.kernels(backend).embedding(arguments) == Status.REFUSED) {
        long wrong = arguments.detail();
        throw new IllegalArgumentException(
            "tokenIds must lie in [0, "
                + table.dim(0)
                + "), found "
                + tokenIds.getInt(wrong)
                + " at index "
                + wrong);
      }
    } finally {
      call.exit();
      Reference.reachabilityFence(table);
      Reference.reachabilityFence(tokenIds);
      Reference.reachabilityFence(output);
    }
  }
}
