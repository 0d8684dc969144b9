package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.BudgetException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.ExpertBudget;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GeneratedToken;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.Session;
import org.winnow.models.TokenListener;
import org.winnow.models.Verifier;

/** Whole models: prompts, captured decoding, experts that come from the file. */
class CudaModelTest {
  private static final double TOLERANCE = 5e-6; // as GoldenTest has it for the CPU
  private static final long EXPERT_BYTES = 3 * 256 * 96 * 2; // gate, up, down of kjv-moe in bf16
  private static final long TABLE_BYTES = 2 * 4 * 32 * 8; // gate and up, down; each with biases
  private static final int[] PROMPT = {0, 318, 41, 7, 1290, 77};

  private static final LoadOptions IN_F32 = LoadOptions.defaults().withActivations(DType.F32);

  private static Backend backend;

  @BeforeAll
  static void open() {
    backend = new CudaBackend();
  }

  @AfterAll
  static void close() {
    if (backend != null) backend.close();
  }

  private static LoadOptions onDevice() {
    return IN_F32.withBackend(backend);
  }

  @ParameterizedTest
  @ValueSource(strings = {"deepseek_v3", "gpt_oss"})
  void everyHiddenStateLogitAndGreedyTokenIsTheReferences(String family) {
    Path folder = golden(family);
    try (LanguageModel model = LanguageModel.open(folder, onDevice())) {
      Verifier.Report report = Verifier.compare(model, folder.resolve("golden.safetensors"));
      assertThat(report.greedyTokens()).isEqualTo(48);
      assertThat(report.passes(TOLERANCE)).as(report.toString()).isTrue();
    }
  }

  @Test
  void inBf16TheTrainedModelSaysTheSameWhateverTheBudget() {
    LoadOptions inBf16 = onDevice().withActivations(DType.BF16);
    int[] expected;
    try (LanguageModel model = LanguageModel.open(kjvMoe(), inBf16)) {
      assertThat(model.activations()).isEqualTo(DType.BF16);
      expected = generate(model).ids();
    }
    try (LanguageModel model =
        LanguageModel.open(kjvMoe(), inBf16.withBudget(ExpertBudget.ofShare(0.15)))) {
      assertThat(generate(model).ids()).isEqualTo(expected);
    }
  }

  @Test
  void theTrainedModelSaysWhatItSaysOnTheCpuWhateverTheBudget() {
    int[] expected;
    try (LanguageModel model = LanguageModel.open(kjvMoe(), IN_F32)) {
      expected = generate(model).ids();
    }
    for (ExpertBudget budget : List.of(ExpertBudget.ALL, ExpertBudget.ofShare(0.15))) {
      for (boolean readAhead : new boolean[] {false, true}) {
        LoadOptions options = onDevice().withBudget(budget).withReadAhead(readAhead);
        try (LanguageModel model = LanguageModel.open(kjvMoe(), options)) {
          assertThat(generate(model).ids())
              .as("budget " + budget + ", read-ahead " + readAhead)
              .isEqualTo(expected);
        }
      }
    }
  }

  /**
   * Every expert has its own slot. So the bytes copied to slots and the bytes that kernels read
   * from them must be exactly those of the chosen experts.
   */
  @Test
  void bytesOfExpertsThatNoTokenChoseAreNeitherCopiedNorRead() {
    assumeTrue(GpuSim.isLoaded(), GpuSim::cause); // only there are bytes counted
    try (LanguageModel model = LanguageModel.open(kjvMoe(), onDevice())) {
      awaitDevice(); // the weights of the rest
      GpuSim.resetTouched();
      GpuReport.take();
      long begin = GpuSim.bytesCopiedToDevice();
      GenerationResult cold = generate(model);
      long afterCold = GpuSim.bytesCopiedToDevice();
      ExpertCounters counters = model.expertCounters();
      Map<Long, Long> slots = slots(GpuReport.take());
      GenerationResult warm = generate(model); // the same copies but those of experts
      long afterWarm = GpuSim.bytesCopiedToDevice();
      assertThat(warm.ids()).isEqualTo(cold.ids());
      assertThat(model.expertCounters().misses()).isEqualTo(counters.misses());

      // addresses of the 5 dense matrices of each layer and of the last one, once
      long firstUse = (4 * 5 + 1) * 4L * Long.BYTES;
      assertThat(counters.distinctExperts()).isBetween(20L, 127L); // of 4 layers of 32
      long onlyCold = afterCold - begin - (afterWarm - afterCold);
      long tables = onlyCold - counters.distinctExperts() * EXPERT_BYTES - firstUse;
      assertThat(tables % TABLE_BYTES).as("bytes copied for experts").isZero();
      assertThat(tables / TABLE_BYTES)
          .as("layers of steps that met an expert for the first time")
          .isBetween(4L, Math.min(counters.distinctExperts(), 4L * (1 + 15)));
      assertThat(afterWarm - afterCold).as("bytes copied for all else").isEqualTo(otherBytes());
      assertThat(slots).hasSize((int) counters.distinctExperts());
      slots.forEach(
          (address, sizeBytes) ->
              assertThat(GpuSim.distinctBytesRead(address, sizeBytes)).isEqualTo(EXPERT_BYTES));
    }
  }

  /** What {@link #generate} copies to the device besides experts, in kjv-moe's sizes. */
  private static long otherBytes() {
    int numTokens = PROMPT.length + 15; // the last one is not computed
    int numSteps = 1 + 15;
    long idAndAngles = Integer.BYTES + 2 * 16 * Float.BYTES;
    long chosenExperts = 32 * Integer.BYTES;
    long addressesOfPages = 2 * 4 * 16 * Long.BYTES; // keys and values, 4 layers
    long length = Long.BYTES;
    return numTokens * idAndAngles + numSteps * (4 * chosenExperts + length) + addressesOfPages;
  }

  /** Where experts make room for others, each that is brought is copied once, and nothing else. */
  @Test
  void underASmallBudgetEveryMissCopiesOneExpert() {
    assumeTrue(GpuSim.isLoaded(), GpuSim::cause); // only there are bytes counted
    try (LanguageModel model =
        LanguageModel.open(kjvMoe(), onDevice().withBudget(ExpertBudget.ofShare(0.15)))) {
      generate(model); // what is copied once
      long[] others = new long[2];
      long[] misses = new long[2];
      for (int i = 0; i < 2; i++) {
        long missesBefore = model.expertCounters().misses();
        long before = GpuSim.bytesCopiedToDevice();
        model.generate(
            Arrays.copyOf(PROMPT, PROMPT.length - i), // as many steps, other experts
            GenerateOptions.greedy(16).withStopIds(Set.of()),
            TokenListener.NONE);
        awaitDevice();
        misses[i] = model.expertCounters().misses() - missesBefore;
        others[i] = GpuSim.bytesCopiedToDevice() - before - misses[i] * EXPERT_BYTES;
      }
      assertThat(misses[0]).isNotEqualTo(misses[1]);
      // the shorter prompt's token: its id and the angles of its position
      assertThat(others[0] - others[1]).isEqualTo(Integer.BYTES + 2L * 16 * Float.BYTES);
    }
  }

  /** The first token decodes without, to take what it needs; then all do. */
  @Test
  void tokensAreDecodedAsCapturedSteps() {
    assumeTrue(GpuSim.isLoaded(), GpuSim::cause); // only there are they counted
    Path folder = golden("gpt_oss"); // 3 layers of 8 experts
    int[] prompt = new int[48];
    for (int i = 0; i < prompt.length; i++) prompt[i] = (37 * i + 5) % 512;
    try (LanguageModel model = LanguageModel.open(folder, onDevice())) {
      GenerateOptions ten = GenerateOptions.greedy(10).withStopIds(Set.of());
      model.generate(new int[] {1}, ten, TokenListener.NONE);
      awaitDevice();
      assertThat(GpuReport.take().graphLaunches())
          .as("segments between the layers' choices")
          .isBetween(9L, 9L * 4);
      model.generate(prompt, ten, TokenListener.NONE);
      assertThat(model.expertCounters().distinctExperts()).isEqualTo(3 * 8);
      awaitDevice();
      GpuReport.take();
      model.generate(new int[] {1}, ten, TokenListener.NONE);
      awaitDevice();
      assertThat(GpuReport.take().graphLaunches())
          .as("one for each token: all experts are resident")
          .isEqualTo(9);
    }
  }

  /** They read the logits after a step, so the steps stay captured. The choices are the CPU's. */
  @Test
  void aPenaltyAndLogProbabilitiesLeaveTheStepsCaptured() {
    int[] prompt = new int[48];
    for (int i = 0; i < prompt.length; i++) prompt[i] = (37 * i + 5) % 512;
    GenerateOptions options =
        GenerateOptions.greedy(10).withStopIds(Set.of()).withRepetitionPenalty(1.7).withLogprobs(1);
    List<GeneratedToken> onCpu = new ArrayList<>();
    List<GeneratedToken> onCuda = new ArrayList<>();
    try (LanguageModel model = LanguageModel.open(golden("gpt_oss"), LoadOptions.defaults())) {
      model.generate(new int[] {1}, options, TokenListener.ofTokens(onCpu::add));
    }
    try (LanguageModel model = LanguageModel.open(golden("gpt_oss"), onDevice())) {
      model.generate(prompt, options, TokenListener.NONE); // all experts are resident then
      awaitDevice();
      GpuReport.take();
      model.generate(new int[] {1}, options, TokenListener.ofTokens(onCuda::add));
      awaitDevice();
      if (GpuSim.isLoaded()) assertThat(GpuReport.take().graphLaunches()).isEqualTo(9);
    }
    for (int i = 0; i < 10; i++) {
      assertThat(onCuda.get(i).id()).isEqualTo(onCpu.get(i).id());
      assertThat(onCuda.get(i).logprobs().logprob())
          .isCloseTo(onCpu.get(i).logprobs().logprob(), within(1e-3));
      assertThat(onCuda.get(i).logprobs().top().get(0).id())
          .isEqualTo(onCpu.get(i).logprobs().top().get(0).id());
    }
  }

  @Test
  void aModelThatTheDeviceHasNoRoomForIsRefusedAtOnce() {
    try (var small = new CudaBackend(0, 4L << 20)) {
      assertThatThrownBy(
              () -> LanguageModel.open(kjvMoe(), LoadOptions.defaults().withBackend(small)))
          .isInstanceOf(BudgetException.class)
          .hasMessageStartingWith("memory for the expert budget and all other weights");
    }
  }

  @Test
  void sequencesTakeTurnsOnStepsOfTheirOwn() {
    try (LanguageModel model = LanguageModel.open(kjvMoe(), onDevice());
        Session first = model.newSession();
        Session second = model.newSession()) {
      GenerateOptions four = GenerateOptions.greedy(4).withStopIds(Set.of());
      int[] longPrompt = new int[70]; // its working memory replaces that of captured steps
      for (int i = 0; i < longPrompt.length; i++) longPrompt[i] = (37 * i + 5) % 2048;
      int[] begun = first.generate(PROMPT, four, TokenListener.NONE).ids();
      second.generate(longPrompt, four, TokenListener.NONE);
      int[] resumed = first.generate(new int[0], four, TokenListener.NONE).ids();
      int[] whole =
          model
              .generate(PROMPT, GenerateOptions.greedy(8).withStopIds(Set.of()), TokenListener.NONE)
              .ids();
      assertThat(begun).isEqualTo(Arrays.copyOf(whole, 4));
      assertThat(resumed).isEqualTo(Arrays.copyOfRange(whole, 4, 8));
    }
  }

  private static GenerationResult generate(LanguageModel model) {
    return model.generate(
        PROMPT, GenerateOptions.greedy(16).withStopIds(Set.of()), TokenListener.NONE);
  }

  private static void awaitDevice() {
    try (Tensor any = backend.f32(1)) {
      any.toFloatArray();
    }
  }

  /** Allocations of one expert's size, with their sizes. */
  private static Map<Long, Long> slots(GpuReport report) {
    Map<Long, Long> slots = new HashMap<>();
    for (GpuReport.Launch launch : report.launches()) {
      launch.allocations().stream()
          .filter(allocation -> allocation.get("size_bytes").equals(EXPERT_BYTES))
          .forEach(allocation -> slots.put((Long) allocation.get("address"), EXPERT_BYTES));
    }
    return slots;
  }

  private static Path golden(String family) {
    return repository().resolve("java/models/src/test/resources/goldens").resolve(family);
  }

  private static Path kjvMoe() {
    return repository().resolve("models/kjv-moe");
  }

  private static Path repository() {
    Path folder = Path.of("").toAbsolutePath();
    while (!Files.exists(folder.resolve("models/kjv-moe/config.json"))) folder = folder.getParent();
    return folder;
  }
}
