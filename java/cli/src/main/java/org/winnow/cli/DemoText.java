package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import org.winnow.DType;
import org.winnow.models.ExpertBudget;
import org.winnow.models.FinishReason;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import org.winnow.models.ModelConfig;

/**
 * The demo's first part: a text, while the experts have less memory than they take.
 *
 * @param budgetBytes what the experts got
 * @param activations the type in which the model multiplies
 * @param isBroken whether it could not be printed
 */
record DemoText(
    Path path,
    ModelConfig config,
    long expertBytes,
    long budgetBytes,
    DType activations,
    int[] promptIds,
    GenerateOptions options,
    GenerationResult result,
    boolean isBroken) {
  /** Generates and prints. */
  static DemoText generate(
      Terminal people,
      Path path,
      LoadOptions opening,
      String prompt,
      ExpertBudget budget,
      GenerateOptions options) {
    try (Interruption interruption = new Interruption();
        LanguageModel model = LanguageModel.open(path, opening.withBudget(budget))) {
      if (model.tokenizer() == null)
        throw new CommandException(ExitCode.MISSING, path + ": has no tokenizer.json");
      if (model.config().experts() == null)
        throw new CommandException(
            ExitCode.BAD_INPUT, path + ": expected a mixture of experts, found a dense model");
      int[] promptIds = Prompts.encode("--prompt", prompt, model, path);
      introduce(people.out(), path, model, budget);
      people.out().print(people.bold(model.tokenizer().decode(promptIds, true)));
      TokenPrinter printer = new TokenPrinter(people, false, interruption.cancellation());
      GenerationResult result =
          printer.generate(model, promptIds, options.withCancellation(interruption.cancellation()));
      return new DemoText(
          path,
          model.config(),
          model.expertBytes(),
          model.expertBudgetBytes(),
          model.activations(),
          promptIds,
          options,
          result,
          printer.isBroken());
    }
  }

  private static void introduce(
      PrintWriter out, Path path, LanguageModel model, ExpertBudget budget) {
    ModelConfig.Experts experts = Objects.requireNonNull(model.config().experts());
    out.println(
        path.getFileName()
            + ": "
            + model.config().numLayers()
            + " layers, "
            + experts.numExperts()
            + " experts in each, "
            + experts.topK()
            + " per token.");
    out.println(
        "Its experts take "
            + Units.bytes(model.expertBytes())
            + "; here they get "
            + Units.bytes(model.expertBudgetBytes())
            + " ("
            + budget
            + "). Everything else takes "
            + Units.bytes(model.residentWeightBytes())
            + ". Activations are multiplied in "
            + model.activations()
            + ".");
    out.println();
  }

  /** How the demo ends if it ends with this part. */
  int exitCode() {
    if (isBroken) return ExitCode.BROKEN_PIPE;
    return result.finishReason() == FinishReason.CANCELLED ? ExitCode.CANCELLED : ExitCode.DONE;
  }

  /** The prompt and the text. */
  int[] allIds() {
    return IntStream.concat(IntStream.of(promptIds), IntStream.of(result.ids())).toArray();
  }

  /** What a {@link DemoWorker} must be told to generate the same text. */
  List<String> workerArguments() {
    return List.of(
        "--prompt-ids",
        new TokenIds(promptIds).toString(),
        "--max-tokens",
        Integer.toString(options.maxTokens()),
        "--temperature",
        Double.toString(options.sampler().temperature()),
        "--seed",
        Long.toString(options.seed()));
  }

  /** Writes fields of an object: the model and the text. */
  void write(JsonGenerator json) throws IOException {
    json.writeStringField("model", path.toString());
    json.writeNumberField("expert_bytes", expertBytes);
    json.writeNumberField("budget_bytes", budgetBytes);
    json.writeStringField("activations", activations.toString());
    JsonDocument.ids(json, "prompt_ids", promptIds);
    GenerationFields.write(json, result, List.of());
  }
}
