package org.winnow.cli;

import static org.winnow.Tensor.ANY;

import org.jspecify.annotations.Nullable;
import org.winnow.Tensor;
import org.winnow.op.MultiplicativeLayer;

/** Cases of {@code multiplicative_layer}. */
final class MultiplicativeLayerCheck implements OperationCheck {
  @Override
  public void run(OperationCase given) {
    Tensor output = run(given, given.count("module_size"));
    given.judge("output", output.toFloatArray(), output.shape());
  }

  static Tensor run(OperationCase given, int moduleSize) {
    int modules = given.count("modules");
    Tensor input = given.input("input.hidden", ANY, ANY);
    Tensor moduleWeights = given.floating("weight.d", input.dim(1), modules);
    Tensor columnWeights = given.floating("weight.e", input.dim(1), moduleSize);
    if (columnWeights.dtype() != moduleWeights.dtype())
      throw given.fault(
          "weight.e",
          "the type of weight.d, " + moduleWeights.dtype(),
          columnWeights.dtype().toString());
    @Nullable Tensor bias = given.f32OrNull("weight.bias", modules, moduleSize);
    Tensor output = given.result(input.dim(0), Math.multiplyExact((long) modules, moduleSize));
    MultiplicativeLayer.run(given.backend(), input, moduleWeights, columnWeights, bias, output);
    return output;
  }
}
