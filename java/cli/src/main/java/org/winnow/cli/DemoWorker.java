package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;
import java.util.stream.IntStream;
import org.winnow.memory.ExpertCounters;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenListener;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * {@code winnow demo-worker}: one side of the demo's comparison, in a process of its own so that
 * its peak memory is its own. Opens the model, then generates once for each line on standard input
 * and answers with one line of JSON.
 */
@Command(name = "demo-worker", hidden = true, description = "One side of the demo's comparison.")
final class DemoWorker extends Subcommand {
  @Parameters(paramLabel = "PATH")
  private Path path;

  @Option(names = "--prompt-ids", required = true, converter = TokenIds.Converter.class)
  private TokenIds promptIds;

  @Option(names = "--max-tokens", required = true)
  private int maxTokens;

  @Option(names = "--temperature", required = true)
  private double temperature;

  @Option(names = "--seed", required = true)
  private long seed;

  @Mixin private ModelOptions modelOptions;

  @Override
  int run(Terminal terminal) throws IOException {
    GenerateOptions options = GenerateOptions.sampling(maxTokens, temperature, seed);
    BufferedReader requests =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    try (LanguageModel model = modelOptions.open(path, terminal)) {
      while (requests.readLine() != null) {
        GenerationResult result = model.generate(promptIds.values(), options, TokenListener.NONE);
        long peakMemoryBytes = ProcessMemory.peakBytes();
        terminal.out().println(answer(model, result, peakMemoryBytes));
        terminal.out().flush();
      }
    }
    return ExitCode.DONE;
  }

  private String answer(LanguageModel model, GenerationResult result, long peakMemoryBytes)
      throws IOException {
    int[] all =
        IntStream.concat(IntStream.of(promptIds.values()), IntStream.of(result.ids())).toArray();
    // Before the logits are computed again, which counts too.
    ExpertCounters experts = Objects.requireNonNull(result.experts());
    StringWriter line = new StringWriter();
    try (JsonGenerator json = new JsonFactory().createGenerator(line)) {
      json.writeStartObject();
      json.writeNumberField("tokens", result.ids().length);
      json.writeStringField("logits", LogitsDigest.of(model, all));
      json.writeNumberField("tokens_per_second", result.decodeTokensPerSecond());
      json.writeNumberField("bytes_read", experts.demandBytesRead());
      json.writeNumberField("peak_resident_bytes", experts.peakResidentBytes());
      json.writeNumberField("hit_rate", experts.hitRate());
      json.writeNumberField("peak_memory_bytes", peakMemoryBytes);
      json.writeEndObject();
    }
    return line.toString();
  }
}
