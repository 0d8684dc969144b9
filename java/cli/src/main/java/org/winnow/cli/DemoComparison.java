package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.function.Function;
import org.winnow.models.ExpertBudget;
import org.winnow.models.ModelConfig;

/**
 * The demo's second part: the same generation sparse and dense (every expert computed for every
 * token), each in a process of its own so that peak memory is its own, one generation at a time in
 * turn so that other load meets all of them.
 */
final class DemoComparison {
  private static final int TIMED_RUNS = 5;
  private static final int DENSE = 2; // index of that side

  private final List<String> names = new ArrayList<>();
  private final List<DemoSide> sides = new ArrayList<>();
  // per side, the first one untimed
  private final List<List<DemoSide.Answer>> answers = new ArrayList<>();
  private final List<String> arguments;
  private final ModelConfig config;

  /**
   * @param path the checkpoint, a mixture of experts
   * @param options the other arguments of {@code demo-worker}: what to generate
   */
  DemoComparison(Path path, ModelConfig config, List<String> options) {
    this.config = config;
    arguments = new ArrayList<>(List.of(path.toString()));
    arguments.addAll(options);
  }

  /** Runs and prints to {@code people}; whether the logits of all are equal. */
  boolean compare(Terminal people, ExpertBudget budget) throws IOException {
    try (Progress progress =
        new Progress(people, "sparse beside dense", "runs", 3L * (TIMED_RUNS + 1))) {
      add("sparse, " + budget, "--budget", budget.toString().replaceAll(" bytes|[ ,]", ""));
      add("sparse, 100 %", "--budget", "100%");
      add("dense", "--budget", "100%", "--every-expert");
      long done = 0;
      for (int run = 0; run <= TIMED_RUNS; run++) {
        for (int side = 0; side < sides.size(); side++) {
          answers.get(side).add(sides.get(side).generate());
          progress.update(++done);
        }
      }
    } finally {
      for (DemoSide side : sides) side.close();
    }
    print(people, isEqual());
    return isEqual();
  }

  private boolean isEqual() {
    String reference = first(0).logits();
    return answers.stream()
        .flatMap(List::stream)
        .allMatch(answer -> answer.logits().equals(reference));
  }

  /** Writes what {@link #compare} has measured. */
  void write(JsonGenerator json) throws IOException {
    ModelConfig.Experts experts = Objects.requireNonNull(config.experts());
    json.writeStartObject();
    json.writeNumberField("tokens", first(0).tokens());
    json.writeArrayFieldStart("sides");
    for (int side = 0; side < sides.size(); side++) {
      json.writeStartObject();
      json.writeStringField("name", names.get(side));
      json.writeNumberField("tokens_per_second", bestRate(side));
      json.writeNumberField(
          "experts_computed", side == DENSE ? experts.numExperts() : experts.topK());
      json.writeNumberField("demand_bytes_read", first(side).bytesRead());
      json.writeNumberField("peak_resident_bytes", first(side).peakResidentBytes());
      JsonDocument.number(json, "hit_rate", first(side).hitRate());
      json.writeNumberField("peak_memory_bytes", last(side).peakMemoryBytes());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeBooleanField("equal", isEqual());
    json.writeEndObject();
  }

  private void add(String name, String... options) throws IOException {
    List<String> all = new ArrayList<>(arguments);
    all.addAll(List.of(options));
    names.add(name);
    answers.add(new ArrayList<>());
    sides.add(new DemoSide(all));
  }

  private void print(Terminal terminal, boolean equal) {
    terminal.out().println();
    terminal
        .out()
        .println(
            terminal.bold(
                "The same "
                    + first(0).tokens()
                    + " tokens, sparse beside dense (every expert computed for every token)"));
    Table table = Table.withHeading(row("", List.copyOf(names)));
    List<Integer> columns = List.of(0, 1, 2);
    add(
        table,
        "tokens/s, best of " + TIMED_RUNS,
        columns,
        side -> Units.threeDigits(bestRate(side)));
    ModelConfig.Experts experts = Objects.requireNonNull(config.experts());
    int topK = experts.topK();
    int numExperts = experts.numExperts();
    add(
        table,
        "experts computed, per token and layer",
        columns,
        side -> (side == DENSE ? numExperts : topK) + " of " + numExperts);
    add(
        table,
        "their arithmetic, per token",
        columns,
        side -> Units.roughCount(operations(side == DENSE ? numExperts : topK)));
    add(
        table,
        "expert bytes read, first run",
        columns,
        side -> Units.bytes(first(side).bytesRead()));
    add(
        table,
        "expert bytes resident, at most",
        columns,
        side -> Units.bytes(first(side).peakResidentBytes()));
    add(table, "hit rate, first run", columns, side -> Units.percent(first(side).hitRate()));
    add(
        table,
        "peak memory, Java included",
        columns,
        side -> Units.bytes(last(side).peakMemoryBytes()));
    table.print(terminal.out(), "  ");
    terminal
        .out()
        .println(
            equal
                ? String.format(
                    Locale.ROOT,
                    "  Every bit of every logit is equal. Against dense: %.2f times its speed with all experts"
                        + " in memory, %.2f times in %.0f %% of their memory.",
                    bestRate(1) / bestRate(2),
                    bestRate(0) / bestRate(2),
                    100.0 * first(0).peakResidentBytes() / first(2).peakResidentBytes())
                : "  THE LOGITS DIFFER.");
    terminal.out().flush();
  }

  private static void add(
      Table table, String name, List<Integer> columns, Function<Integer, String> cell) {
    table.row(row(name, columns.stream().map(cell).toList()));
  }

  private static String[] row(String name, List<String> cells) {
    List<String> row = new ArrayList<>(List.of(name));
    row.addAll(cells);
    return row.toArray(String[]::new);
  }

  /** Multiplications and additions of so many experts in every layer that has some. */
  private long operations(int numExperts) {
    ModelConfig.Experts experts = Objects.requireNonNull(config.experts());
    long layers = experts.sparseLayers().stream().filter(sparse -> sparse).count();
    return 2 * layers * numExperts * 3 * config.hiddenSize() * experts.intermediateSize();
  }

  private double bestRate(int side) {
    return answers.get(side).stream()
        .skip(1)
        .mapToDouble(DemoSide.Answer::tokensPerSecond)
        .max()
        .orElseThrow();
  }

  private DemoSide.Answer first(int side) {
    return answers.get(side).get(0);
  }

  private DemoSide.Answer last(int side) {
    return answers.get(side).get(answers.get(side).size() - 1);
  }
}
