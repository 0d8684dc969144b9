package org.winnow.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads what llama-bench prints, of llama.cpp and of ik_llama.cpp: its Markdown table, and with
 * {@code -o} its csv, json and jsonl. Other lines before and after are skipped. A table's columns
 * are found by their headings, since llama-bench prints those that its options ask for.
 */
final class LlamaBenchOutput {
  private static final JsonFactory JSON = new JsonFactory();
  private static final String RATE = "avg_ts";

  private LlamaBenchOutput() {}

  /**
   * The results in a text; none if it has no results in a form that is read.
   *
   * @throws IOException saying which number cannot be right
   */
  static List<PeerResult> parse(String text) throws IOException {
    List<PeerResult> results = new ArrayList<>();
    @Nullable List<String> headings = null;
    List<String> lines = text.lines().map(String::strip).toList();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (line.equals("[") || line.equals("[{") || line.startsWith("{")) {
        boolean array = line.startsWith("[");
        List<String> rest = array ? lines.subList(i, lines.size()) : List.of(line);
        addObjects(String.join("\n", rest), results);
        if (array) break;
      } else if (line.startsWith("|") && (headings != null || line.endsWith("|"))) {
        List<String> cells = tableCells(line);
        if (cells.contains("t/s")) headings = cells;
        else if (headings != null && !line.startsWith("| -") && !line.startsWith("|-"))
          add(fields(headings, cells), results);
      } else if (headings == null && csvCells(line).contains(RATE)) {
        headings = csvCells(line);
      } else if (headings != null && headings.contains(RATE) && !line.isEmpty()) {
        List<String> cells = csvCells(line);
        if (cells.size() == headings.size() || line.startsWith("\"")) // else no row
        add(fields(headings, cells), results);
      }
    }
    return results;
  }

  private static Map<String, String> fields(List<String> headings, List<String> cells)
      throws IOException {
    if (cells.size() != headings.size())
      throw new IOException(
          "a row of " + cells.size() + " cells under " + headings.size() + " headings: " + cells);
    Map<String, String> fields = new HashMap<>();
    for (int i = 0; i < cells.size(); i++) fields.put(headings.get(i), cells.get(i));
    return fields;
  }

  private static List<String> tableCells(String line) throws IOException {
    if (line.length() < 2 || !line.endsWith("|"))
      throw new IOException("a row of a table that is cut off: " + line);
    List<String> cells = new ArrayList<>();
    for (String cell : line.substring(1, line.length() - 1).split("\\|", -1))
      cells.add(cell.strip());
    return cells;
  }

  /** Cells between commas; one in quotes may hold commas, and two quotes for one. */
  private static List<String> csvCells(String line) throws IOException {
    List<String> cells = new ArrayList<>();
    StringBuilder cell = new StringBuilder();
    boolean quoted = false;
    for (int i = 0; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '"' && quoted && i + 1 < line.length() && line.charAt(i + 1) == '"') {
        cell.append('"');
        i++;
      } else if (c == '"') {
        quoted = !quoted;
      } else if (c == ',' && !quoted) {
        cells.add(cell.toString());
        cell.setLength(0);
      } else {
        cell.append(c);
      }
    }
    if (quoted && line.startsWith("\"")) throw new IOException("a row that is cut off: " + line);
    cells.add(cell.toString());
    return cells;
  }

  /** The objects of an array, or one object, in JSON. */
  private static void addObjects(String text, List<PeerResult> results) throws IOException {
    try (JsonParser json = JSON.createParser(text)) {
      int depth = 0;
      Map<String, String> fields = new HashMap<>();
      for (JsonToken token; (token = json.nextToken()) != null; ) {
        if (token == JsonToken.START_OBJECT) depth++;
        else if (token == JsonToken.END_OBJECT && --depth == 0) {
          if (fields.containsKey(RATE)) add(fields, results);
          fields = new HashMap<>();
        } else if (token == JsonToken.END_ARRAY && depth == 0) {
          return;
        } else if (depth == 1 && token.isScalarValue() && json.currentName() != null) {
          fields.put(json.currentName(), json.getText());
        }
      }
    }
  }

  private static void add(Map<String, String> fields, List<PeerResult> results) throws IOException {
    @Nullable String rate = fields.containsKey(RATE) ? fields.get(RATE) : fields.get("t/s");
    if (rate == null) return;
    double tokensPerSecond = number(rate.split("±|\\+/-")[0].strip(), "tokens per second");
    if (!(tokensPerSecond > 0 && tokensPerSecond < 1e12))
      throw new IOException("no possible number of tokens per second: " + rate);
    String threads = fields.getOrDefault("n_threads", fields.getOrDefault("threads", "0"));
    results.add(new PeerResult(test(fields), (int) number(threads, "threads"), tokensPerSecond));
  }

  private static double number(String text, String what) throws IOException {
    try {
      return Double.parseDouble(text);
    } catch (NumberFormatException e) {
      throw new IOException("no number of " + what + ": '" + text + "'");
    }
  }

  /**
   * The name of the test, which not every form has: of its numbers of prompt and new tokens, and
   * the depth at which it begins.
   */
  private static String test(Map<String, String> fields) throws IOException {
    @Nullable String name = fields.get("test");
    if (name != null) return name.replaceFirst("^(pp|tg) +", "$1"); // old versions: pp 512
    int prompt = (int) number(fields.getOrDefault("n_prompt", "0"), "prompt tokens");
    int generated = (int) number(fields.getOrDefault("n_gen", "0"), "new tokens");
    int depth = (int) number(fields.getOrDefault("n_depth", "0"), "tokens before");
    String test =
        prompt > 0 && generated > 0
            ? "pp" + prompt + "+tg" + generated
            : generated > 0 ? "tg" + generated : "pp" + prompt;
    return depth == 0 ? test : test + " @ d" + depth;
  }
}
