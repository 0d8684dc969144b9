package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.EvictionPolicy;

/**
 * A model computes the same bits for every budget, policy, read-ahead setting and number of
 * threads, whether or not it also computes experts that were not chosen, and however a prompt is
 * divided into steps.
 */
class SameBitsTest {
  private static final Path MODEL = Goldens.kjvMoe();
  private static final int[] PROMPT = new int[70];
  private static final Map<DType, int[]> EXPECTED = new EnumMap<>(DType.class);

  /** The bits of all logits of a sequence. */
  private static int[] logits(LanguageModel model, int[] ids) {
    int vocabulary = model.config().vocabularySize();
    int[] bits = new int[ids.length * vocabulary];
    model.forward(
        ids,
        0,
        new ForwardListener() {
          @Override
          public void onLogits(int firstPosition, Tensor logits) {
            int[] part = new int[(int) logits.size()];
            logits.asByteBuffer().asIntBuffer().get(part);
            System.arraycopy(part, 0, bits, firstPosition * vocabulary, part.length);
          }
        });
    return bits;
  }

  @BeforeAll
  static void computeOnceWithEverythingResident() {
    for (int i = 1; i < PROMPT.length; i++) PROMPT[i] = (i * 7919) % 2048;
    for (DType activations : new DType[] {DType.F32, DType.BF16}) {
      LoadOptions options = in(activations).withThreads(1);
      try (LanguageModel model = LanguageModel.open(MODEL, options)) {
        assertThat(model.activations()).isEqualTo(activations);
        EXPECTED.put(activations, logits(model, PROMPT));
      }
    }
    assertThat(EXPECTED.get(DType.BF16)).isNotEqualTo(EXPECTED.get(DType.F32));
  }

  private static LoadOptions in(DType activations) {
    return LoadOptions.defaults().withActivations(activations);
  }

  static Stream<LoadOptions> options() {
    return Stream.concat(options(in(DType.F32)), options(in(DType.BF16)));
  }

  private static Stream<LoadOptions> options(LoadOptions opening) {
    LoadOptions options = opening.withThreads(2);
    return Stream.concat(
        Stream.of(0.1, 0.25, 0.5, 1.0)
            .flatMap(
                share ->
                    Stream.<Supplier<EvictionPolicy>>of(
                            EvictionPolicy::lru, EvictionPolicy::lfu, EvictionPolicy::lfru)
                        .flatMap(
                            policy ->
                                Stream.of(true, false)
                                    .map(
                                        readAhead ->
                                            options
                                                .withBudget(ExpertBudget.ofShare(share))
                                                .withEvictionPolicy(policy)
                                                .withReadAhead(readAhead)))),
        Stream.of(options.withThreads(1), options.withThreads(3), options.withEveryExpert(true)));
  }

  @ParameterizedTest
  @MethodSource("options")
  void whateverTheBudgetThePolicyTheReadAheadAndTheThreads(LoadOptions options) {
    try (LanguageModel model = LanguageModel.open(MODEL, options)) {
      assertThat(logits(model, PROMPT)).isEqualTo(EXPECTED.get(options.activations()));
      assertThat(model.expertCounters().peakResidentBytes())
          .isLessThanOrEqualTo(model.expertBudgetBytes());
    }
  }

  @Test
  void oneExpertAtATime() {
    long oneExpert;
    try (LanguageModel model = LanguageModel.open(MODEL, LoadOptions.defaults())) {
      oneExpert = model.expertBytes() / (4 * 32);
    }
    try (LanguageModel model =
        LanguageModel.open(
            MODEL, LoadOptions.defaults().withBudget(ExpertBudget.ofBytes(oneExpert)))) {
      assertThat(logits(model, PROMPT)).isEqualTo(EXPECTED.get(DType.BF16));
      assertThat(model.expertCounters().peakResidentBytes()).isEqualTo(oneExpert);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 64, 69, 70})
  void howeverThePromptIsCutIntoSteps(int chunkTokens) {
    for (DType activations : EXPECTED.keySet()) {
      try (LanguageModel model = LanguageModel.open(MODEL, in(activations), chunkTokens)) {
        assertThat(logits(model, PROMPT)).isEqualTo(EXPECTED.get(activations));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"deepseek_v3", "gpt_oss", "llama", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"})
  void everyFamilyAtTheLeastBudgetOneTokenAtATime(String family) {
    int[] ids = new int[48];
    for (int i = 0; i < ids.length; i++) ids[i] = (i * 37) % 512;
    int[] whole;
    try (LanguageModel model =
        LanguageModel.open(Goldens.folder(family), LoadOptions.defaults().withThreads(1))) {
      whole = logits(model, ids);
    }
    LoadOptions tenth =
        LoadOptions.defaults()
            .withBudget(ExpertBudget.ofShare(0.1))
            .withThreads(2)
            .withReadAhead(true);
    try (LanguageModel model = LanguageModel.open(Goldens.folder(family), tenth, 1)) {
      assertThat(logits(model, ids)).isEqualTo(whole);
    }
  }

  @Test
  void onEveryInstructionSetTokensStaySimilarAndBudgetsAgree() {
    for (InstructionSet set : List.of(InstructionSet.values())) {
      if (!set.isSupported()) continue;
      try (CpuBackend backend = new CpuBackend(set, 2)) {
        int[][] bits = new int[2][];
        for (int i = 0; i < 2; i++) {
          LoadOptions options =
              LoadOptions.defaults()
                  .withBackend(backend)
                  .withBudget(ExpertBudget.ofShare(i == 0 ? 1 : 0.1));
          try (LanguageModel model = LanguageModel.open(MODEL, options)) {
            bits[i] = logits(model, PROMPT);
          }
        }
        assertThat(bits[1]).as(set.toString()).isEqualTo(bits[0]);
      }
    }
  }

  @Test
  void samplingIsThatOfTheSeed() {
    GenerateOptions options = GenerateOptions.sampling(30, 0.8, 11).withStopIds(Set.of());
    try (LanguageModel full = LanguageModel.open(MODEL, LoadOptions.defaults());
        LanguageModel tenth =
            LanguageModel.open(
                MODEL,
                LoadOptions.defaults().withBudget(ExpertBudget.ofShare(0.1)).withReadAhead(true))) {
      int[] ids = full.generate("<|endoftext|>Psalm 151\n", options, TokenListener.NONE).ids();
      assertThat(tenth.generate("<|endoftext|>Psalm 151\n", options, TokenListener.NONE).ids())
          .isEqualTo(ids);
      GenerateOptions other = GenerateOptions.sampling(30, 0.8, 12).withStopIds(Set.of());
      assertThat(full.generate("<|endoftext|>Psalm 151\n", other, TokenListener.NONE).ids())
          .isNotEqualTo(ids);
    }
  }
}
