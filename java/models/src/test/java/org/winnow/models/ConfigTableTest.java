package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.CheckpointException;

/**
 * Walks the table of every family: each key absent, null, in every spelling, doubled, contradicted,
 * out of range, of a wrong type, and with a value that is not computed. What is expected stands in
 * {@link ConfigProbe} and in class_defaults.json, not in the tables.
 */
class ConfigTableTest {
  private static final Path FILE = Path.of("config.json");

  /** Keys of other families that must not be ignored, each with a value that would count. */
  private static final Map<String, Object> REFUSED_ELSEWHERE =
      Map.ofEntries(
          Map.entry("attn_logit_softcapping", 50.0),
          Map.entry("final_logit_softcapping", 30.0),
          Map.entry("attention_chunk_size", 8192L),
          Map.entry("attention_multiplier", 0.5),
          Map.entry("query_pre_attn_scalar", 256L),
          Map.entry("partial_rotary_factor", 0.5),
          Map.entry("logit_scale", 0.0625),
          Map.entry("logits_scaling", 8.0),
          Map.entry("embedding_multiplier", 12.0),
          Map.entry("residual_multiplier", 0.22),
          Map.entry("index_topk", 2048L),
          Map.entry("clip_qkv", 8.0),
          Map.entry("kv_lora_rank", 512L),
          Map.entry("swiglu_limit", 10.0),
          Map.entry("routed_scaling_factor", 2.5),
          Map.entry("scoring_func", "sqrtsoftplus"),
          Map.entry("topk_method", "group_limited_greedy"),
          Map.entry("n_group", 4L),
          Map.entry("topk_group", 2L),
          Map.entry("mlp_bias", true),
          Map.entry("attention_bias", true),
          Map.entry("qkv_bias", true),
          Map.entry("qk_norm", "layer"),
          Map.entry("use_parallel_residual", true),
          Map.entry("num_kv_shared_layers", 10L),
          Map.entry("zero_expert_num", 256L),
          Map.entry("moe_apply_router_weight_on_input", true));

  @TempDir Path folder;

  static Collection<String> families() {
    return Family.supported().keySet();
  }

  static List<String> ropes() {
    return List.of("any", "default", "linear", "llama3", "yarn");
  }

  private static Map<String, @Nullable Object> defaults(String... path) {
    Map<String, @Nullable Object> values = Json.readTree(Goldens.configuration("class_defaults"));
    for (String key : path) values = map(values.get(key));
    return values;
  }

  private static Map<String, @Nullable Object> map(@Nullable Object json) {
    Map<String, @Nullable Object> copy = new LinkedHashMap<>();
    ((Map<?, ?>) json).forEach((key, value) -> copy.put((String) key, value));
    return copy;
  }

  private static ConfigTable ropeTable(String type) {
    return type.equals("any") ? RopeReader.ANY : RopeReader.TYPES.get(type);
  }

  @ParameterizedTest
  @MethodSource("families")
  void everyKeyOfAFamilyMeansWhatItsClassSays(String family) {
    walk(Family.of(family).table(), defaults(family), ConfigProbe.all());
    walkNeutral(Family.of(family).table());
  }

  @ParameterizedTest
  @MethodSource("ropes")
  void everyKeyOfARopeMeansWhatTheLibrarySays(String type) {
    walk(ropeTable(type), defaults("rope", type), ConfigProbe.rope(type));
  }

  /** Breaks each row of each table in several ways. The walk must notice every one. */
  @Test
  void aBrokenRowIsNoticed() {
    int broken = 0;
    for (String family : families())
      broken += breakAll(Family.of(family).table(), defaults(family), ConfigProbe.all());
    for (String type : ropes())
      broken += breakAll(ropeTable(type), defaults("rope", type), ConfigProbe.rope(type));
    assertThat(broken).isGreaterThan(600);
  }

  private static int breakAll(
      ConfigTable table, Map<String, @Nullable Object> defaults, List<ConfigProbe> probes) {
    int broken = 0;
    for (ConfigRow<?> row : table.rows()) {
      for (ConfigTable mutant : mutants(table, row)) {
        Throwable thrown = catchThrowable(() -> walk(mutant, defaults, probes));
        assertThat(thrown).as("mutant " + broken + " of " + row).isNotNull();
        broken++;
      }
    }
    return broken;
  }

  private static <T> List<ConfigTable> mutants(ConfigTable table, ConfigRow<T> row) {
    ConfigRow.Missing<T> refused = new ConfigRow.Missing<>(true, null);
    ConfigRow.Missing<T> none = new ConfigRow.Missing<>(false, null);
    List<ConfigRow<T>> rows = new ArrayList<>();
    for (ConfigRow.Missing<T> missing : List.of(refused, none)) {
      if (!row.absent().equals(missing)) rows.add(changed(row, missing, row.ifNull()));
      if (!row.ifNull().equals(missing)) rows.add(changed(row, row.absent(), missing));
    }
    if (!row.computed().isEmpty()) rows.add(row.only());
    rows.add(row.spelled("another_name"));
    if (row.spellings().size() > 1) rows.add(row.spelled(row.spellings().get(0)));
    List<ConfigTable> mutants = new ArrayList<>();
    for (ConfigRow<T> mutant : rows) mutants.add(table.with(mutant));
    mutants.add(table.without(row.key()));
    return mutants;
  }

  private static <T> ConfigRow<T> changed(
      ConfigRow<T> row, ConfigRow.Missing<T> absent, ConfigRow.Missing<T> ifNull) {
    return new ConfigRow<>(row.key(), row.spellings(), row.type(), absent, ifNull, row.computed());
  }

  private static void walk(
      ConfigTable table, Map<String, @Nullable Object> defaults, List<ConfigProbe> probes) {
    Map<ConfigKey<?>, ConfigProbe> byKey =
        probes.stream().collect(Collectors.toMap(ConfigProbe::key, probe -> probe));
    Set<String> rows = new LinkedHashSet<>();
    for (ConfigRow<?> row : table.rows()) rows.add(row.key().name());
    assertThat(rows).as("rows").containsExactlyInAnyOrderElementsOf(defaults.keySet());
    for (ConfigRow<?> row : table.rows()) {
      ConfigProbe probe = byKey.get(row.key());
      assertThat(probe).as("a probe for " + row.key()).isNotNull();
      assertThat(row.spellings()).as(row.key().name()).containsAll(probe.spellings());
      walk(only(table, row), row.spellings(), probe, defaults);
    }
  }

  /** A table of this row, so that others that are required do not matter. */
  private static ConfigTable only(ConfigTable table, ConfigRow<?> row) {
    assertThat(table.row(row.key())).isSameAs(row);
    return ConfigTable.of(row);
  }

  private static void walk(
      ConfigTable table,
      List<String> spellings,
      ConfigProbe probe,
      Map<String, @Nullable Object> defaults) {
    String name = probe.key().name();
    String first = spellings.get(0);
    if ("required".equals(defaults.get(name))) expectRefused(table, first, Map.of());
    else expect(table, probe, Map.of(), defaults.get(name));
    for (String spelling : spellings) {
      Map<String, @Nullable Object> missing = new HashMap<>();
      missing.put(spelling, null);
      if (probe.ifNull() == ConfigProbe.REFUSED) expectRefused(table, spelling, missing);
      else expect(table, probe, missing, probe.ifNull());
      expect(table, probe, Map.of(spelling, probe.value()), probe.value());
      for (Object value : probe.refused()) expectRefused(table, spelling, Map.of(spelling, value));
      for (Object value : probe.unsupported())
        assertThat(read(table, Map.of(spelling, value)).unsupported())
            .as(name + " " + value)
            .anyMatch(text -> text.contains(first));
      for (String second : spellings) {
        if (second.equals(spelling)) continue;
        expect(table, probe, Map.of(spelling, probe.value(), second, probe.value()), probe.value());
        String later = spellings.indexOf(spelling) > spellings.indexOf(second) ? spelling : second;
        expectRefused(table, later, Map.of(spelling, probe.value(), second, probe.other()));
      }
    }
  }

  private static ConfigValues read(ConfigTable table, Map<String, @Nullable Object> json) {
    return table.read(new ConfigObject(FILE, json));
  }

  private static void expect(
      ConfigTable table,
      ConfigProbe probe,
      Map<String, @Nullable Object> json,
      @Nullable Object expected) {
    ConfigValues values = read(table, json);
    assertThat(plain(values.get(probe.key())))
        .as(probe.key().name() + " of " + json)
        .isEqualTo(plain(expected));
    assertThat(values.unsupported()).as(probe.key().name() + " of " + json).isEmpty();
  }

  /** Numbers of one type, so that JSON's can be compared with those that were read. */
  private static @Nullable Object plain(@Nullable Object value) {
    if (value instanceof List<?> list) return list.stream().map(ConfigTableTest::plain).toList();
    return value instanceof Number number ? (Object) number.doubleValue() : value;
  }

  private static void expectRefused(
      ConfigTable table, String spelling, Map<String, @Nullable Object> json) {
    assertThatThrownBy(() -> read(table, json))
        .as(spelling + " of " + json)
        .isInstanceOfSatisfying(
            CheckpointException.class, e -> assertThat(e.tensor()).isEqualTo(spelling));
  }

  private static void walkNeutral(ConfigTable table) {
    Set<String> spellings = new LinkedHashSet<>();
    table.rows().forEach(row -> spellings.addAll(row.spellings()));
    REFUSED_ELSEWHERE.forEach(
        (key, value) -> {
          if (spellings.contains(key)) return; // the family's own code reads it
          assertThat(read(table, Map.of(key, value)).unsupported()).as(key).hasSize(1);
        });
    table
        .neutral()
        .forEach(
            (key, allowed) -> {
              assertThat(spellings).doesNotContain(key);
              Map<String, @Nullable Object> nothing = new HashMap<>();
              nothing.put(key, null);
              assertThat(read(table, nothing).unsupported()).as(key).isEmpty();
              for (Object value : allowed)
                assertThat(read(table, Map.of(key, value)).unsupported()).as(key).isEmpty();
              for (Object value : List.of("another", 17L, Double.NaN, List.of(), Map.of()))
                assertThat(read(table, Map.of(key, value)).unsupported())
                    .as(key + " " + value)
                    .singleElement()
                    .asString()
                    .startsWith(key + " ");
            });
  }

  /** Its decoder has experts in every layer. */
  @Test
  void gptOssHasNoDenseLayers() {
    ConfigTable table = Family.of("gpt_oss").table();
    assertThat(read(table, Map.of("mlp_layer_types", List.of("sparse", "dense"))).unsupported())
        .containsExactly("mlp_layer_types \"dense\" is not supported (\"sparse\" is)");
  }

  /** A configuration of a model type alone is the family's default model. */
  @ParameterizedTest
  @MethodSource("families")
  void everyValueReachesTheModel(String family) throws IOException {
    Map<String, @Nullable Object> defaults = defaults(family);
    ConfigTable table = Family.of(family).table();
    for (ConfigProbe probe : ConfigProbe.all()) {
      ConfigRow<?> row = table.row(probe.key());
      if (row == null) continue;
      Map<String, Object> json = new LinkedHashMap<>(probe.with());
      json.put("model_type", family);
      Object absent = defaults.get(probe.key().name());
      if (absent != null && !probe.with().containsKey("num_key_value_heads"))
        assertShown(probe, json, absent);
      json.put(row.spellings().get(0), probe.value());
      assertShown(probe, json, probe.value());
    }
  }

  private void assertShown(ConfigProbe probe, Map<String, Object> json, Object expected)
      throws IOException {
    Files.writeString(folder.resolve("config.json"), text(json));
    ModelConfig config = ModelConfig.read(folder);
    assertThat(plain(probe.shown().apply(config))).as(text(json)).isEqualTo(plain(expected));
  }

  private static String text(Object json) {
    if (json instanceof Map<?, ?> map)
      return map.entrySet().stream()
          .map(entry -> "\"" + entry.getKey() + "\": " + text(entry.getValue()))
          .collect(Collectors.joining(", ", "{", "}"));
    if (json instanceof List<?> list)
      return list.stream().map(ConfigTableTest::text).collect(Collectors.joining(", ", "[", "]"));
    return json instanceof String text ? "\"" + text + "\"" : String.valueOf(json);
  }
}
