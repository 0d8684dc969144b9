package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.internal.MultiplicativeLayerArguments;

/** Launches multiplicative_layer_cuda.cu as {@link RowProducts} with a row per token and module. */
final class CudaMultiplicativeLayer {
  private final Map<Integer, Kernel> kernels = new HashMap<>(); // key: type of the weights
  private final RowProducts products;

  CudaMultiplicativeLayer(CudaContext context, CudaMemory memory) {
    for (MultiplicativeLayerLaunch.Variant variant : MultiplicativeLayerLaunch.KERNELS)
      kernels.put(variant.weightType(), context.kernel("multiplicative_layer", variant.name()));
    products =
        new RowProducts(
            context, memory, context.kernel("multiplicative_layer", "multiplicative_layer_merge"));
  }

  void launch(CudaStream stream, MultiplicativeLayerArguments arguments) {
    Kernel kernel =
        Kernel.require(kernels.get(arguments.weightType()), "weight type", arguments.weightType());
    products.launch(
        stream,
        kernel,
        arguments,
        Math.multiplyExact(arguments.numTokens(), arguments.numModules()),
        arguments.inputSize(),
        arguments.moduleSize());
  }
}
