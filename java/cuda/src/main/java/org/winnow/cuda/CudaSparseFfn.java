package org.winnow.cuda;

import java.util.HashMap;
import java.util.Map;
import org.winnow.DType;
import org.winnow.WeightFormat;
import org.winnow.internal.SparseFfnArguments;

/** Launches sparse_ffn_cuda.cu: the hidden values of all tokens, then their outputs. */
final class CudaSparseFfn {
  private record Key(int inputType, int weightFormat) {}

  private final Map<Key, Kernel> hidden = new HashMap<>();
  private final Map<Key, Kernel> output = new HashMap<>(); // its input is hidden values: f32

  CudaSparseFfn(CudaContext context) {
    for (SparseFfnLaunch.Variant variant : SparseFfnLaunch.KERNELS)
      (variant.part().equals("hidden") ? hidden : output)
          .put(
              new Key(variant.inputType(), variant.weightFormat()),
              context.kernel("sparse_ffn", variant.name()));
  }

  void launch(CudaStream stream, SparseFfnArguments arguments) {
    int numTokens = Math.toIntExact(arguments.numTokens());
    if (numTokens == 0) return;
    if (numTokens > DeviceLaunch.MAX_GRID_Y)
      throw new IllegalArgumentException(
          "input must have at most " + DeviceLaunch.MAX_GRID_Y + " tokens, found " + numTokens);
    int format = arguments.weightFormat();
    Kernel first =
        Kernel.require(
            hidden.get(new Key(arguments.inputType(), format)), "input type and format", format);
    Kernel second =
        Kernel.require(output.get(new Key(DType.F32.code(), format)), "weight format", format);
    first.launch(
        stream,
        blocks(arguments.capacity(), SparseFfnLaunch.SPARSE_FFN_HIDDEN_WARPS),
        numTokens,
        1,
        SparseFfnLaunch.SPARSE_FFN_HIDDEN_WARPS * DeviceLaunch.WARP_SIZE,
        0,
        stream.arguments().of(arguments));
    long elementBytes = WeightFormat.values()[format].rowBytes(1);
    second.launch(
        stream,
        blocks(
            arguments.hiddenSize() * elementBytes,
            DeviceLaunch.WARP_SIZE * RowSumsLaunch.ROW_VECTOR_BYTES),
        numTokens,
        1,
        RowSumsLaunch.ROW_SUM_WARPS * DeviceLaunch.WARP_SIZE,
        0,
        stream.arguments().of(arguments));
  }

  private static int blocks(long items, int perBlock) {
    return Math.toIntExact((items + perBlock - 1) / perBlock);
  }
}
