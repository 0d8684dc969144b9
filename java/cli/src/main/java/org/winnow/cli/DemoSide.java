package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** A {@link DemoWorker} process, seen from the demo. */
final class DemoSide implements AutoCloseable {
  /** What a generation of the worker took; counters count from the start of its process. */
  record Answer(
      int tokens,
      String logits,
      double tokensPerSecond,
      long bytesRead,
      long peakResidentBytes,
      double hitRate,
      long peakMemoryBytes) {}

  // A small heap and one collector thread, so that Java's own memory hides as little as possible of
  // the model's.
  private static final List<String> JAVA_OPTIONS =
      List.of("--enable-native-access=ALL-UNNAMED", "-XX:+UseSerialGC", "-Xmx64m");

  private final Process process;
  private final BufferedWriter requests;
  private final BufferedReader answers;

  /**
   * Starts the process with these arguments of {@code demo-worker}; its errors go where those of
   * this process go.
   */
  DemoSide(List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(JAVA_OPTIONS);
    for (String name : System.getProperties().stringPropertyNames()) {
      if (name.startsWith("winnow.") || name.startsWith("org.bytedeco."))
        command.add("-D" + name + "=" + System.getProperty(name));
    }
    command.addAll(
        List.of("-cp", System.getProperty("java.class.path"), Main.class.getName(), "demo-worker"));
    command.addAll(arguments);
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    requests =
        new BufferedWriter(
            new OutputStreamWriter(process.getOutputStream(), StandardCharsets.UTF_8));
    answers =
        new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
  }

  /** Has it generate once and waits for the answer. */
  Answer generate() throws IOException {
    requests.newLine();
    requests.flush();
    String line = answers.readLine();
    if (line == null)
      throw new CommandException(
          ExitCode.INTERNAL, "the demo's worker ended early; its error is above");
    return parse(line);
  }

  private static Answer parse(String line) throws IOException {
    int tokens = 0;
    String logits = null;
    double tokensPerSecond = 0;
    double hitRate = 0;
    long bytesRead = 0;
    long peakResidentBytes = 0;
    long peakMemoryBytes = 0;
    try (JsonParser json = new JsonFactory().createParser(line)) {
      json.nextToken();
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String name = json.currentName();
        json.nextToken();
        switch (name) {
          case "tokens" -> tokens = json.getIntValue();
          case "logits" -> logits = json.getText();
          case "tokens_per_second" -> tokensPerSecond = json.getDoubleValue();
          case "hit_rate" -> hitRate = json.getDoubleValue();
          case "bytes_read" -> bytesRead = json.getLongValue();
          case "peak_resident_bytes" -> peakResidentBytes = json.getLongValue();
          case "peak_memory_bytes" -> peakMemoryBytes = json.getLongValue();
          default -> throw new IOException("unknown field " + name + " from the demo's worker");
        }
      }
    }
    if (logits == null) throw new IOException("no field logits from the demo's worker");
    return new Answer(
        tokens, logits, tokensPerSecond, bytesRead, peakResidentBytes, hitRate, peakMemoryBytes);
  }

  /** Ends the process. */
  @Override
  public void close() throws IOException {
    requests.close();
    try {
      if (process.waitFor(10, TimeUnit.SECONDS)) return;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    process.destroyForcibly();
  }
}
