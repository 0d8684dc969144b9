package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationDefaults;
import org.winnow.op.SamplerOptions;

class SamplingTest {
  private static final GenerationDefaults FILE =
      new GenerationDefaults(
          Path.of("generation_config.json"),
          new SamplerOptions(0.6, 20, 0.95, 0.01, 1.1),
          30,
          List.of(),
          List.of("END"),
          List.of("num_beams 4"));

  private final SamplingOptions asked = new SamplingOptions();

  @Test
  void withoutAFileTheTemperatureIsPointEightAndTheContextIsFilled() {
    Sampling sampling = Sampling.of(asked, null, 100);
    assertThat(sampling.options().sampler()).isEqualTo(SamplerOptions.ofTemperature(0.8));
    assertThat(sampling.options().maxTokens()).isEqualTo(GenerateOptions.FILL_CONTEXT);
    assertThat(sampling.limit()).isEqualTo("the context is full");
    assertThat(sampling.sources().values()).containsOnly("default");
    assertThat(sampling.describe()).isEqualTo("temperature 0.8, seed 0");
  }

  @Test
  void theFileCountsWhereNothingIsAsked() {
    Sampling sampling = Sampling.of(asked, FILE, 100);
    assertThat(sampling.options().sampler()).isEqualTo(FILE.sampler());
    assertThat(sampling.options().maxTokens()).isEqualTo(30);
    assertThat(sampling.options().stopTexts()).containsExactly("END");
    assertThat(sampling.limit()).isEqualTo("max_new_tokens of generation_config.json reached");
    assertThat(sampling.sources())
        .containsEntry("temperature", "generation_config.json")
        .containsEntry("stop", "generation_config.json")
        .containsEntry("max_tokens", "generation_config.json")
        .containsEntry("seed", "default");
    assertThat(sampling.describe()).contains("top-k 20 (generation_config.json)");
    assertThat(sampling.ignored()).containsExactly("num_beams 4");
  }

  @Test
  void aLimitOfTheFileThatDoesNotFitFillsTheContext() {
    Sampling sampling = Sampling.of(asked, FILE, 29);
    assertThat(sampling.options().maxTokens()).isEqualTo(GenerateOptions.FILL_CONTEXT);
    assertThat(sampling.limit()).isEqualTo("the context is full");
    assertThat(Sampling.of(asked, FILE, 30).options().maxTokens()).isEqualTo(30);
  }

  @Test
  void whatIsAskedCountsMost() {
    asked.temperature = 1.5;
    asked.topK = 0;
    asked.repetitionPenalty = 1.0;
    asked.maxTokens = 7;
    asked.stop = List.of("a", "b");
    asked.seed = 3L;
    asked.logprobs = 2;
    Sampling sampling = Sampling.of(asked, FILE, 100);
    assertThat(sampling.options().sampler()).isEqualTo(new SamplerOptions(1.5, 0, 0.95, 0.01, 1));
    assertThat(sampling.options().maxTokens()).isEqualTo(7);
    assertThat(sampling.options().stopTexts()).containsExactly("a", "b");
    assertThat(sampling.options().seed()).isEqualTo(3);
    assertThat(sampling.options().logprobs()).isEqualTo(2);
    assertThat(sampling.sources())
        .containsEntry("temperature", "option")
        .containsEntry("top_p", "generation_config.json")
        .containsEntry("seed", "option");
    assertThat(sampling.limit()).isEqualTo("--max-tokens reached");
  }

  @Test
  void greedySetsTheFileAside() {
    asked.greedy = true;
    Sampling sampling = Sampling.of(asked, FILE, 100);
    assertThat(sampling.options().sampler()).isEqualTo(SamplerOptions.greedy());
    assertThat(sampling.options().maxTokens()).isEqualTo(30);
    assertThat(sampling.describe()).isEqualTo("the most probable token");
    asked.repetitionPenalty = 1.2;
    assertThat(Sampling.of(asked, FILE, 100).options().sampler())
        .isEqualTo(SamplerOptions.greedy().withRepetitionPenalty(1.2));
  }

  @Test
  void greedyContradictsWhatAsksToSample() {
    asked.greedy = true;
    asked.temperature = 0.0;
    assertThat(Sampling.of(asked, null, 1).options().sampler()).isEqualTo(SamplerOptions.greedy());
    asked.temperature = 0.5;
    assertThatThrownBy(() -> Sampling.of(asked, null, 1))
        .isInstanceOfSatisfying(
            IllegalArgumentException.class,
            e -> {
              assertThat(Names.option(e)).isEqualTo("--greedy contradicts --temperature 0.5");
              assertThat(Names.field(e)).isEqualTo("greedy contradicts temperature 0.5");
            });
    asked.temperature = null;
    asked.minP = 0.1;
    assertThatThrownBy(() -> Sampling.of(asked, null, 1))
        .isInstanceOfSatisfying(
            IllegalArgumentException.class,
            e -> assertThat(Names.option(e)).isEqualTo("--greedy contradicts --min-p 0.1"));
  }

  @Test
  void aLineCountsMoreThanTheCommandAlsoWhereTheyContradict() {
    SamplingOptions line = new SamplingOptions();
    line.greedy = true;
    asked.temperature = 0.5;
    asked.seed = 4L;
    Sampling greedy = Sampling.of(line.over(asked), FILE, 100);
    assertThat(greedy.options().sampler()).isEqualTo(SamplerOptions.greedy());
    assertThat(greedy.options().seed()).isEqualTo(4);
    SamplingOptions sampled = new SamplingOptions();
    sampled.topK = 5;
    asked.temperature = null;
    asked.greedy = true;
    assertThat(Sampling.of(sampled.over(asked), FILE, 100).options().sampler())
        .isEqualTo(new SamplerOptions(0.6, 5, 0.95, 0.01, 1.1));
  }
}
