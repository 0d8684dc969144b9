package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.WeightFormat;
import org.winnow.internal.ThresholdedLinearArguments;

/** Launches thresholded_linear_cuda.cu with a row of blocks per token. */
final class CudaThresholdedLinear {
  private final Map<Integer, Kernel> kernels = new HashMap<>(); // key: format of the weights

  CudaThresholdedLinear(CudaContext context) {
    for (ThresholdedLinearLaunch.Variant variant : ThresholdedLinearLaunch.KERNELS)
      kernels.put(variant.weightFormat(), context.kernel("thresholded_linear", variant.name()));
  }

  void launch(CudaStream stream, ThresholdedLinearArguments arguments) {
    int numTokens = Math.toIntExact(arguments.numTokens());
    if (numTokens == 0) return;
    if (numTokens > DeviceLaunch.MAX_GRID_Y)
      throw new IllegalArgumentException(
          "input must have at most " + DeviceLaunch.MAX_GRID_Y + " tokens, found " + numTokens);
    int format = arguments.weightFormat();
    long rowBytes = WeightFormat.values()[format].rowBytes(arguments.outputSize());
    long tileBytes = (long) DeviceLaunch.WARP_SIZE * RowSumsLaunch.ROW_VECTOR_BYTES;
    Kernel.require(kernels.get(format), "weight format", format)
        .launch(
            stream,
            Math.toIntExact((rowBytes + tileBytes - 1) / tileBytes),
            numTokens,
            1,
            RowSumsLaunch.ROW_SUM_WARPS * DeviceLaunch.WARP_SIZE,
            0,
            stream.arguments().of(arguments));
  }
}
