package org.winnow.models;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.TopKRouter;

/** Computes a layer and generates, and closes nothing. Runs in class loaders of its own. */
public final class ForgetfulProgram {
  private ForgetfulProgram() {}

  /** The tokens and the numbers, as text. */
  public static String run(String folder) {
    LoadOptions options =
        LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.5)).withReadAhead(true);
    LanguageModel model = LanguageModel.open(Path.of(folder), options.withThreads(2));
    GenerationResult result =
        model.generate(
            new int[] {1, 2, 3},
            GenerateOptions.greedy(5).withStopIds(Set.of()),
            TokenListener.NONE);
    return Arrays.toString(result.ids()) + " " + layer();
  }

  private static String layer() {
    Tensor hidden = Tensor.of(new float[] {3, 1, 1, 2}, 2, 2);
    Tensor matrices = Tensor.of(new float[] {1, 0, 0, 1, 2, 0, 0, 2}, 2, 2, 2);
    hidden.asByteBuffer().getFloat(0); // a buffer that outlives its tensor
    Linear router = new Linear(Tensor.of(new float[] {1, 0, 0, 1}, 2, 2), null);
    ResidentExperts experts = ResidentExperts.stacked(matrices, matrices, matrices);
    Tensor output = Tensor.f32(2, 2);
    MoeLayer.builder(router, TopKRouter.softmax(1).build(), experts)
        .build()
        .forward(new CpuBackend(), hidden, output);
    return Arrays.toString(output.toFloatArray());
  }
}
