package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.internal.ModularConvolutionArguments;

/**
 * Launches modular_convolution_cuda.cu as {@link RowProducts} with a row per position and module,
 * then keeps the state.
 */
final class CudaModularConvolution {
  private final Map<Integer, Kernel> kernels = new HashMap<>(); // key: type of the weights
  private final Kernel state;
  private final RowProducts products;
  private final ElementGrid elements;

  CudaModularConvolution(CudaContext context, CudaMemory memory) {
    for (ModularConvolutionLaunch.Variant variant : ModularConvolutionLaunch.KERNELS)
      kernels.put(variant.weightType(), context.kernel("modular_convolution", variant.name()));
    state = context.kernel("modular_convolution", "modular_convolution_state");
    products =
        new RowProducts(
            context, memory, context.kernel("modular_convolution", "modular_convolution_merge"));
    elements = new ElementGrid(context.device());
  }

  void launch(CudaStream stream, ModularConvolutionArguments arguments) {
    Kernel kernel =
        Kernel.require(kernels.get(arguments.weightType()), "weight type", arguments.weightType());
    long covered = arguments.lengthKernel() * arguments.moduleKernel();
    products.launch(
        stream,
        kernel,
        arguments,
        Math.multiplyExact(arguments.numTokens(), arguments.numModules()),
        Math.multiplyExact(covered, arguments.moduleSize()),
        arguments.outputSize());
    long size = (arguments.lengthKernel() - 1) * arguments.numModules() * arguments.moduleSize();
    if (arguments.nextState() == 0 || size == 0) return;
    state.launch(
        stream,
        elements.blocksOfOne(size),
        1,
        1,
        ElementGrid.BLOCK,
        0,
        stream.arguments().of(arguments));
  }
}
