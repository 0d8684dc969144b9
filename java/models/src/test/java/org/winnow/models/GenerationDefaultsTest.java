package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.CheckpointException;
import org.winnow.op.SamplerOptions;

/** Walks the table of the keys of a generation_config.json. */
class GenerationDefaultsTest {
  @TempDir Path folder;

  /**
   * A row of the table.
   *
   * @param absent what the key means if it is absent or null
   * @param valid JSON values and what they mean
   * @param wrong JSON values that are refused
   */
  record Key(
      String name,
      Function<GenerationDefaults, Object> meaning,
      Object absent,
      Map<String, Object> valid,
      List<String> wrong) {
    @Override
    public String toString() {
      return name;
    }
  }

  private static Function<GenerationDefaults, Object> sampler(Function<SamplerOptions, Object> of) {
    return defaults -> of.apply(defaults.sampler());
  }

  static Stream<Key> keys() {
    return Stream.of(
        new Key(
            "do_sample",
            sampler(options -> options.temperature() > 0),
            false,
            Map.of("true", true, "false", false),
            List.of("1", "\"true\"", "[]")),
        new Key(
            "temperature",
            sampler(SamplerOptions::temperature),
            1.0,
            Map.of("0.6", 0.6, "2", 2.0, "0", 0.0, "0.0", 0.0),
            List.of("-0.1", "1e13", "\"0.6\"", "true", "[0.6]", "{}")),
        new Key(
            "top_k",
            sampler(SamplerOptions::topK),
            50,
            Map.of("0", 0, "-1", 0, "1", 1, "2147483647", Integer.MAX_VALUE),
            List.of("-2", "2147483648", "20.0", "\"20\"", "false")),
        new Key(
            "top_p",
            sampler(SamplerOptions::topP),
            1.0,
            Map.of("0.9", 0.9, "1", 1.0, "0", Double.MIN_VALUE),
            List.of("-0.1", "1.01", "\"0.9\"", "[]")),
        new Key(
            "min_p",
            sampler(SamplerOptions::minP),
            0.0,
            Map.of("0.05", 0.05, "0", 0.0, "1", 1.0),
            List.of("-0.1", "1.01", "\"0.9\"", "{}")),
        new Key(
            "repetition_penalty",
            sampler(SamplerOptions::repetitionPenalty),
            1.0,
            Map.of("1.1", 1.1, "2", 2.0, "0.9", 0.9),
            List.of("0", "-1", "1e31", "1e-31", "\"1.1\"")),
        new Key(
            "max_new_tokens",
            defaults -> defaults.options(0).maxTokens(),
            GenerateOptions.FILL_CONTEXT,
            Map.of("1", 1, "2048", 2048),
            List.of("0", "-1", "2147483647", "99999999999999999999", "7.5", "\"8\"")),
        new Key(
            "eos_token_id",
            GenerationDefaults::stopTokens,
            List.of(),
            Map.of("7", List.of(7), "[7, 9]", List.of(7, 9), "[]", List.of(), "-1", List.of()),
            List.of("-2", "[-2]", "\"7\"", "7.5", "[null]", "2147483648")),
        new Key(
            "stop_strings",
            defaults -> defaults.options(0).stopTexts(),
            List.of(),
            Map.of("\"###\"", List.of("###"), "[\"a\", \"b\"]", List.of("a", "b")),
            List.of("\"\"", "[\"\"]", "3", "[3]", "[null]", "{}")));
  }

  @ParameterizedTest
  @MethodSource("keys")
  void everyKeyHasItsMeaning(Key key) throws IOException {
    boolean isSwitch = key.name.equals("do_sample");
    String begin = isSwitch ? "{" : "{\"do_sample\": true, ";
    assertThat(key.meaning.apply(read(isSwitch ? "{}" : "{\"do_sample\": true}")))
        .isEqualTo(key.absent);
    assertThat(key.meaning.apply(read(begin + "\"" + key.name + "\": null}")))
        .isEqualTo(key.absent);
    for (Map.Entry<String, Object> value : key.valid.entrySet()) {
      GenerationDefaults defaults =
          read(begin + "\"" + key.name + "\": " + value.getKey() + ", \"pad_token_id\": -1}");
      assertThat(key.meaning.apply(defaults)).as(value.getKey()).isEqualTo(value.getValue());
      assertThat(defaults.ignored()).isEmpty();
    }
    for (String wrong : key.wrong) {
      assertThatThrownBy(() -> read(begin + "\"" + key.name + "\": " + wrong + "}"))
          .as(wrong)
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("generation_config.json: " + key.name + ": expected ");
    }
    String twice = "\"" + key.name + "\": null, \"" + key.name + "\": null}";
    assertThatThrownBy(() -> read(begin + twice)).isInstanceOf(CheckpointException.class);
  }

  @Test
  void withoutDoSampleTheMostProbableTokenIsChosen() throws IOException {
    assertThat(read("{}").sampler()).isEqualTo(SamplerOptions.greedy());
    GenerationDefaults defaults =
        read(
            "{\"temperature\": 0.6, \"top_p\": 0.9, \"top_k\": 50, \"min_p\": 0.0,"
                + " \"repetition_penalty\": 1.1}");
    assertThat(defaults.sampler()).isEqualTo(SamplerOptions.greedy().withRepetitionPenalty(1.1));
    assertThat(defaults.ignored())
        .containsExactly(
            "temperature 0.6, as do_sample is not true", "top_p 0.9, as do_sample is not true");
    assertThat(read("{\"do_sample\": true, \"temperature\": 0, \"top_k\": 9}").sampler())
        .isEqualTo(SamplerOptions.greedy());
  }

  /** Each key that is not computed: absent, null, without effect, and with one. */
  @Test
  void keysThatAreNotComputedAreTold() throws IOException {
    assertThat(GenerationConfigReader.NEUTRAL).hasSizeGreaterThan(25);
    for (Map.Entry<String, Object> key : GenerationConfigReader.NEUTRAL.entrySet()) {
      String begin = "{\"do_sample\": true, \"" + key.getKey() + "\": ";
      assertThat(read(begin + "null}").ignored()).isEmpty();
      if (!key.getValue().equals(""))
        assertThat(read(begin + key.getValue() + "}").ignored()).as(key.getKey()).isEmpty();
      String changed = key.getValue() instanceof Boolean ? "true" : "5";
      assertThat(read(begin + changed + "}").ignored())
          .containsExactly(key.getKey() + " " + changed);
      assertThat(read(begin + "[[3]]}").ignored()).containsExactly(key.getKey());
    }
    assertThat(read("{\"num_beams\": 1.0, \"bad_words_ids\": {}}").ignored()).isEmpty();
    assertThat(read("{\"use_cache\": false, \"transformers_version\": \"5\"}").ignored()).isEmpty();
  }

  @Test
  void aCheckpointWithoutTheFileRecommendsNothing() throws IOException {
    assertThat(GenerationDefaults.read(folder)).isNull();
    assertThatThrownBy(() -> read("[]")).isInstanceOf(CheckpointException.class);
  }

  @Test
  void theTrainedModelRecommendsToSample() {
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), LoadOptions.defaults())) {
      GenerateOptions options = model.generationDefaults().options(7);
      assertThat(options).isEqualTo(GenerateOptions.sampling(200, 0.8, 7));
    }
  }

  private GenerationDefaults read(String json) throws IOException {
    Files.writeString(folder.resolve("generation_config.json"), json);
    return GenerationDefaults.read(folder);
  }
}
