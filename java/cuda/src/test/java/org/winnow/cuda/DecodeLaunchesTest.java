package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.winnow.Tensor;
import org.winnow.models.GenerateOptions;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.TokenListener;

/** Which kernels it takes to decode a token, as the stand-in has seen them. */
@OnStandInOnly
class DecodeLaunchesTest {
  private static final List<String> LAYER =
      List.of(
          "rms_norm_f32", // with what the layer before left to add
          "grouped_gemm_gemv", // query, key, value
          "rms_norm_f32", // of the heads of query and key
          "rope_f32", // query and key
          "kv_append_f32x4", // key and value
          "attention_4",
          "attention_merge",
          "grouped_gemm_gemv", // output projection
          "rms_norm_f32", // with what attention left to add
          "grouped_gemm_gemv", // router
          "top_k_router_plan",
          "grouped_gemm_gemv", // gate and up
          "grouped_gemm_gemv", // down
          "moe_combine_f32");

  @Test
  void aLayerTakesFourteen() {
    try (CudaBackend backend = new CudaBackend();
        LanguageModel model =
            LanguageModel.open(
                Path.of("../models/src/test/resources/goldens/qwen3_moe"),
                LoadOptions.defaults().withBackend(backend))) {
      List<String> expected = new ArrayList<>(List.of("embedding_f32"));
      for (int i = 0; i < model.config().numLayers(); i++) expected.addAll(LAYER);
      expected.addAll(
          List.of("rms_norm_f32", "grouped_gemm_gemv", "sampler_survey", "sampler_choose"));
      List<String> three = launches(backend, model, 3);
      List<String> four = launches(backend, model, 4);
      assertThat(four.subList(three.size(), four.size())).containsExactlyElementsOf(expected);
    }
  }

  private static List<String> launches(CudaBackend backend, LanguageModel model, int numTokens) {
    GpuReport.take();
    model.generate(
        new int[] {1}, GenerateOptions.greedy(numTokens).withStopIds(Set.of()), TokenListener.NONE);
    try (Tensor any = backend.f32(1)) {
      any.toFloatArray(); // waits
    }
    return GpuReport.take().launches().stream().map(GpuReport.Launch::kernel).toList();
  }
}
