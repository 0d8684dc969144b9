package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.winnow.OperationProfile;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;

/** How often two threads wait for each other while a token is decoded. */
class DecodeRegionsTest {
  /** What a token takes of an operation. */
  private record Taken(long calls, long regions) {}

  @Test
  void aLayerTakesThirteenCallsAndFiveRegions() {
    try (CpuBackend backend = new CpuBackend(InstructionSet.best(), 2);
        LanguageModel model =
            LanguageModel.open(Goldens.kjvMoe(), LoadOptions.defaults().withBackend(backend))) {
      int layers = model.config().numLayers();
      Map<String, Taken> fourth = fourthToken(backend, model);
      assertThat(fourth.get("attention").regions()).isLessThanOrEqualTo(layers);
      fourth.computeIfPresent("attention", (name, taken) -> new Taken(taken.calls(), 0));
      assertThat(fourth)
          .containsOnly(
              Map.entry("embedding", new Taken(1, 0)),
              // of the layer's input, of the heads of query and key, before the router; the last
              Map.entry("rmsNorm", new Taken(3 * layers + 1, 0)),
              // query, key and value; output projection; router, which one thread computes as fast;
              // gate and up; down; and the logits
              Map.entry("groupedGemm", new Taken(5 * layers + 1, 4 * layers + 1)),
              Map.entry("rope", new Taken(layers, 0)),
              Map.entry("kvAppend", new Taken(layers, 0)),
              Map.entry("attention", new Taken(layers, 0)),
              Map.entry("topKRouterWithPlan", new Taken(layers, 0)),
              Map.entry("moeCombine", new Taken(layers, 0)),
              Map.entry("sampler", new Taken(1, 0)));
    }
  }

  private static Map<String, Taken> fourthToken(CpuBackend backend, LanguageModel model) {
    Map<String, Taken> three = taken(backend, model, 3);
    Map<String, Taken> fourth = taken(backend, model, 4);
    fourth.replaceAll(
        (name, four) ->
            new Taken(
                four.calls() - three.get(name).calls(),
                four.regions() - three.get(name).regions()));
    return fourth;
  }

  private static Map<String, Taken> taken(CpuBackend backend, LanguageModel model, int numTokens) {
    GenerateOptions options = GenerateOptions.greedy(numTokens).withStopIds(Set.of());
    Map<String, Taken> byName = new TreeMap<>();
    try (OperationProfile profile = OperationProfile.begin(backend)) {
      model.generate(new int[] {1}, options, TokenListener.NONE);
      profile.entries().forEach(e -> byName.put(e.operation(), new Taken(e.calls(), e.regions())));
    }
    return byName;
  }
}
