package org.winnow.cli;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Computes what the cases of one operation expect, and has it compared. */
interface OperationCheck {
  /** Runs the operation on a case's inputs and calls {@code judge} for each of its results. */
  void run(OperationCase given);

  /** The check for what a case calls its operation and mode, or null if there is none. */
  static @Nullable OperationCheck find(String operation, String mode) {
    return Registry.CHECKS.get(operation + " " + mode);
  }

  /** All checks, by operation and mode. */
  final class Registry {
    private static final Map<String, OperationCheck> CHECKS =
        Map.of(
            "modular_convolution convolution", new ModularConvolutionCheck(),
            "multiplicative_layer forward", new MultiplicativeLayerCheck(),
            "sparse_ffn block_controller", new SparseFfnCheck(),
            "sparse_ffn exact_gate_first", new SparseFfnCheck(),
            "sparse_ffn predictor", new SparseFfnCheck(),
            "sparse_output_layer forward", new SparseOutputLayerCheck());

    private Registry() {}
  }
}
