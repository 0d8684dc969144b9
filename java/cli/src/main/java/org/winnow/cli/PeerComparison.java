package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.winnow.cli.BenchSeries.Key;

/** The results of one peer, a run in each round, beside Winnow's of the same rounds. */
final class PeerComparison {
  private final PeerCommand command;
  private final List<Integer> threadCounts;
  private final List<String> tests;
  private final String budget;
  private final Map<Key, List<Double>> rates = new LinkedHashMap<>(); // a number per round
  private @Nullable String failure;

  /**
   * A test of both.
   *
   * @param ratio of Winnow's tokens per second to the peer's, round by round
   */
  record Row(Key key, Spread ours, Spread peer, Spread ratio) {}

  /**
   * @param threadCounts that Winnow is measured with
   * @param tests that Winnow is measured with
   * @param budget of Winnow's that is compared
   */
  PeerComparison(
      PeerCommand command, List<Integer> threadCounts, List<String> tests, String budget) {
    this.command = command;
    this.threadCounts = threadCounts;
    this.tests = tests;
    this.budget = budget;
  }

  /** Runs the peer for a round, unless it has failed before. Returns why it failed now, or null. */
  @Nullable String run() {
    if (failure != null) return null;
    try {
      Map<Key, Double> round = measured(command.run());
      if (!rates.isEmpty() && !rates.keySet().equals(round.keySet()))
        throw new PeerCommand.Failure(
            "printed " + names(round) + " after " + names(rates) + " in the round before");
      round.forEach((key, rate) -> rates.computeIfAbsent(key, k -> new ArrayList<>()).add(rate));
      return null;
    } catch (PeerCommand.Failure e) {
      failure = e.getMessage();
      rates.clear();
      return this + ": " + failure;
    }
  }

  /** The results of a run that Winnow has too. */
  private Map<Key, Double> measured(List<PeerResult> results) throws PeerCommand.Failure {
    Map<Key, Double> measured = new LinkedHashMap<>();
    for (PeerResult result : results) {
      if (!tests.contains(result.test())) continue;
      if (result.threads() == 0 && threadCounts.size() > 1)
        throw new PeerCommand.Failure(
            "it does not say its number of threads; choose one with --threads");
      int threads = result.threads() == 0 ? threadCounts.get(0) : result.threads();
      if (!threadCounts.contains(threads)) continue;
      Key key = new Key(result.test(), threads, budget);
      if (measured.put(key, result.tokensPerSecond()) != null)
        throw new PeerCommand.Failure(
            "printed " + result.test() + " with " + threads + " threads twice");
    }
    if (measured.isEmpty())
      throw new PeerCommand.Failure(
          "printed "
              + results.stream()
                  .map(result -> result.test() + " with " + result.threads() + " threads")
                  .collect(Collectors.joining(", "))
              + "; expected one of "
              + String.join(", ", tests)
              + " with a number of threads of "
              + threadCounts);
    return measured;
  }

  private static String names(Map<Key, ?> results) {
    return results.keySet().stream()
        .map(key -> key.name() + " with " + key.threads() + " threads")
        .collect(Collectors.joining(", "));
  }

  /** Why there are no results, or null. */
  @Nullable String failure() {
    return failure;
  }

  /**
   * The tests of both, with all rounds.
   *
   * @param series Winnow's, with as many rounds
   */
  List<Row> rows(Map<Key, BenchSeries> series) {
    List<Row> rows = new ArrayList<>();
    rates.forEach(
        (key, peer) -> {
          BenchSeries ours = series.get(key);
          if (ours == null) return;
          List<Double> medians = ours.roundMedians();
          List<Double> ratios = new ArrayList<>();
          for (int i = 0; i < peer.size(); i++) ratios.add(medians.get(i) / peer.get(i));
          rows.add(new Row(key, Spread.of(medians), Spread.of(peer), Spread.of(ratios)));
        });
    return rows;
  }

  void write(JsonGenerator json, Map<Key, BenchSeries> series) throws IOException {
    json.writeStartObject();
    json.writeStringField("command", command.toString());
    JsonDocument.string(json, "failure", failure);
    json.writeArrayFieldStart("results");
    for (Row row : rows(series)) {
      json.writeStartObject();
      json.writeStringField("name", row.key().name());
      json.writeNumberField("threads", row.key().threads());
      json.writeStringField("budget", row.key().budget());
      write(json, "tokens_per_second", row.ours());
      write(json, "peer_tokens_per_second", row.peer());
      write(json, "ratio", row.ratio());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private static void write(JsonGenerator json, String name, Spread spread) throws IOException {
    json.writeObjectFieldStart(name);
    spread.write(json);
    json.writeEndObject();
  }

  /** Its command, as the user gave it. */
  @Override
  public String toString() {
    return "peer '" + command + "'";
  }
}
