package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How {@code winnow generate} chooses tokens, as far as options and files decide it. */
class SamplingCommandTest {
  private static final String PROMPT = "<|endoftext|>And Moses said unto the king,";

  @TempDir static Path folder; // of links to the shipped model

  private static CapturedRun generate(Path model, Object... options) {
    return CapturedRun.of(
        Stream.concat(
                Stream.of("generate", model, "--prompt", PROMPT, "--json"), Stream.of(options))
            .toArray());
  }

  private static Map<?, ?> json(CapturedRun run) throws IOException {
    assertThat(run.exitCode()).as(run.err()).isZero();
    return JsonTree.parse(run.out());
  }

  /** The shipped model with another generation_config.json, or with none. */
  private static Path model(String generationConfig) throws IOException {
    for (String file : List.of("config.json", "model.safetensors", "tokenizer.json")) {
      Path link = folder.resolve(file);
      if (!Files.exists(link)) Files.createSymbolicLink(link, Shipped.MODEL.resolve(file));
    }
    Path file = folder.resolve("generation_config.json");
    if (generationConfig.isEmpty()) Files.deleteIfExists(file);
    else Files.writeString(file, generationConfig);
    return folder;
  }

  private static Object option(Map<?, ?> json, String name) {
    return ((Map<?, ?>) json.get("options")).get(name);
  }

  private static Object source(Map<?, ?> json, String name) {
    return ((Map<?, ?>) json.get("option_sources")).get(name);
  }

  @Test
  void theFilesRecommendationIsFollowedAndShown() throws IOException {
    Path model =
        model(
            "{\"do_sample\": true, \"temperature\": 0.7, \"top_k\": 20, \"top_p\": 0.9,"
                + " \"repetition_penalty\": 1.05, \"max_new_tokens\": 6, \"num_beams\": 2}");
    CapturedRun run = generate(model, "--seed", 5);
    Map<?, ?> json = json(run);
    assertThat((List<?>) json.get("ids")).hasSize(6);
    assertThat(option(json, "temperature")).isEqualTo(0.7);
    assertThat(option(json, "top_k")).isEqualTo(20L);
    assertThat(option(json, "repetition_penalty")).isEqualTo(1.05);
    assertThat(source(json, "temperature")).isEqualTo("generation_config.json");
    assertThat(source(json, "seed")).isEqualTo("option");
    assertThat(run.err())
        .contains(
            "temperature 0.7 (generation_config.json), top-k 20 (generation_config.json)",
            "max_new_tokens of generation_config.json reached",
            "num_beams 2");
    Map<?, ?> explicit =
        json(
            generate(
                model,
                "--seed",
                5,
                "--temperature",
                0.7,
                "--top-k",
                20,
                "--top-p",
                0.9,
                "--repetition-penalty",
                1.05,
                "--max-tokens",
                6));
    assertThat(explicit.get("ids")).isEqualTo(json.get("ids"));
    assertThat(source(explicit, "top_p")).isEqualTo("option");
  }

  @Test
  void greedySetsTheRecommendationAside() throws IOException {
    Path model =
        model(
            "{\"do_sample\": true, \"temperature\": 9.0, \"repetition_penalty\": 2.0,"
                + " \"max_new_tokens\": 12}");
    Map<?, ?> greedy = json(generate(model, "--greedy"));
    assertThat(option(greedy, "repetition_penalty")).isEqualTo(1.0);
    Map<?, ?> plain = json(generate(model(""), "--temperature", 0, "--max-tokens", 12));
    assertThat(greedy.get("ids")).isEqualTo(plain.get("ids"));
  }

  @Test
  void withoutALimitTheContextIsFilled() throws IOException {
    Path model = model("");
    String prompt = "271,".repeat(1014) + "271";
    CapturedRun run =
        CapturedRun.of("generate", model, "--prompt-ids", prompt, "--greedy", "--json");
    Map<?, ?> json = json(run);
    assertThat((List<?>) json.get("ids")).hasSize(9);
    assertThat(option(json, "max_tokens")).isNull();
    assertThat(run.err()).contains("the context is full");
    String full = "1,".repeat(1023) + "1";
    CapturedRun none = CapturedRun.of("generate", model, "--prompt-ids", full);
    assertThat(none.exitCode()).isEqualTo(ExitCode.TOO_SMALL);
    assertThat(none.err())
        .isEqualTo(
            "winnow: the context holds at most 1,024 tokens, found 1,024 of the prompt, which"
                + " leave none for new ones\n");
  }

  @Test
  void theTextEndsBeforeAStopText() throws IOException {
    Path model = model("");
    String whole = (String) json(generate(model, "--greedy", "--max-tokens", 24)).get("text");
    String stop = whole.substring(whole.length() / 2, whole.length() / 2 + 5);
    Map<?, ?> stopped =
        json(generate(model, "--greedy", "--max-tokens", 24, "--stop", "--seed", "--stop", stop));
    assertThat(stopped.get("text")).isEqualTo(whole.substring(0, whole.indexOf(stop)));
    assertThat(stopped.get("finish_reason")).isEqualTo("stop");
    assertThat(option(stopped, "stop")).isEqualTo(List.of("--seed", stop));
    CapturedRun text =
        CapturedRun.of(
            "generate", model, "--prompt", PROMPT, "--greedy", "--max-tokens", 24, "--stop", stop);
    assertThat(text.out()).isEqualTo(whole.substring(0, whole.indexOf(stop)) + "\n");
  }

  @Test
  void logProbabilitiesAreThoseOfTheModel() throws IOException {
    Path model = model("");
    Map<?, ?> json = json(generate(model, "--greedy", "--max-tokens", 5, "--logprobs", 3));
    List<?> logprobs = (List<?>) json.get("logprobs");
    assertThat(logprobs).hasSize(5);
    for (int i = 0; i < 5; i++) {
      Map<?, ?> token = (Map<?, ?>) logprobs.get(i);
      assertThat(token.get("id")).isEqualTo(((List<?>) json.get("ids")).get(i));
      List<?> top = (List<?>) token.get("top");
      assertThat(top).hasSize(3);
      assertThat(((Map<?, ?>) top.get(0)).get("id")).isEqualTo(token.get("id"));
      assertThat((double) token.get("logprob")).isNegative().isGreaterThan(-20);
    }
    for (Object[] form : new Object[][] {{"--logprobs"}, {"--logprobs=0"}}) {
      CapturedRun run =
          CapturedRun.of(
              "generate", form[0], model, "--prompt-ids", 1, "--max-tokens", 2, "--stream", "json");
      assertThat(run.exitCode()).as(run.err()).isZero();
      Map<?, ?> first = JsonTree.parse(run.out().lines().findFirst().orElseThrow());
      assertThat((double) first.get("logprob")).isNegative();
      assertThat((List<?>) first.get("top")).isEmpty();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "--greedy --temperature 0.5, --greedy contradicts --temperature 0.5",
    "--greedy --top-k 40, --greedy contradicts --top-k 40",
    "--min-p 2, '--min-p must lie in [0, 1], found 2.0'",
    "--repetition-penalty 0, '--repetition-penalty must be finite and more than 0, found 0.0'",
    "--logprobs -5, '--logprobs must be 0 or more, found -5'",
    "--logprobs=-1, '--logprobs must be 0 or more, found -1'",
    "--logprobs 2049, '--logprobs must be at most the vocabulary of 2048, found 2049'",
    "--logprobs=x, Invalid value for option '--logprobs'",
    "--logprobs x, Invalid value for option '--logprobs'",
    "--stats=, Invalid value for option '--stats': a path must not be empty",
    "--stop=, --stop must not hold an empty text"
  })
  void whatIsWrongIsNamed(String options, String message) {
    CapturedRun run = generate(Shipped.MODEL, (Object[]) options.split(" "));
    assertThat(run.exitCode()).as(run.err()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err()).startsWith("winnow: " + message);
  }

  @Test
  void logProbabilitiesThatNothingWouldShowAreWrongUsage() {
    CapturedRun run =
        CapturedRun.of("generate", Shipped.MODEL, "--prompt", PROMPT, "--logprobs", 2);
    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE);
    assertThat(run.err())
        .startsWith("winnow: --logprobs needs one of --json, --stats, --stream json, --prompts");
  }

  @Test
  void stopTextsNeedATokenizer() throws IOException {
    Path bare = Files.createDirectory(folder.resolve("bare"));
    for (String file : List.of("config.json", "model.safetensors"))
      Files.createSymbolicLink(bare.resolve(file), Shipped.MODEL.resolve(file));
    Files.writeString(bare.resolve("generation_config.json"), "{\"stop_strings\": [\"x\"]}");
    Object[] arguments = {"generate", bare, "--prompt-ids", "0,5", "--max-tokens", 2, "--json"};
    CapturedRun run = CapturedRun.of(arguments);
    assertThat((List<?>) option(json(run), "stop")).isEmpty();
    assertThat(run.err())
        .contains("stop_strings, as there is no tokenizer.json of generation_config.json");
    CapturedRun asked =
        CapturedRun.of(Stream.concat(Stream.of(arguments), Stream.of("--stop", "x")).toArray());
    assertThat(asked.exitCode()).isEqualTo(ExitCode.MISSING);
    assertThat(asked.err())
        .isEqualTo("winnow: " + bare + ": has no tokenizer.json: a stop text needs one\n");
  }

  @Test
  void aFileThatIsWrongIsNamed() throws IOException {
    CapturedRun run = generate(model("{\"temperature\": \"hot\"}"));
    assertThat(run.exitCode()).isEqualTo(ExitCode.BAD_INPUT);
    assertThat(run.err()).contains("generation_config.json", "temperature", "hot");
  }
}
