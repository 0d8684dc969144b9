package org.winnow.models;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.models.ConfigType.Real;
import org.winnow.models.ConfigType.Text;

/**
 * Reads the rotary position encoding of a configuration, as Hugging Face transformers 5 does.
 *
 * <ol>
 *   <li>{@code rope_scaling}, if it is an object with entries, replaces {@code rope_parameters}.
 *   <li>If neither is there, the family's own default counts.
 *   <li>{@code rope_theta} inside of it counts before the one beside it.
 *   <li>If it has an object per type of layer, those of the types that the model has must agree.
 * </ol>
 */
final class RopeReader {
  /** The keys of any type of rope. */
  static final ConfigTable ANY =
      ConfigTable.of(
              ConfigRow.of(ConfigKey.ROPE_TYPE, new Text())
                  .spelled("rope_type", "type")
                  .absent("default")
                  .ifNull("default")
                  .only("default", "linear", "llama3", "yarn"),
              ConfigRow.of(ConfigKey.THETA, LlamaTable.THETA).optional())
          .neutral("partial_rotary_factor", 1)
          .neutral("mrope_section")
          .neutral("attn_factor", 1)
          .neutral("extrapolation_factor", 1);

  private static final ConfigTable SCALED =
      ConfigTable.of(
          ConfigRow.of(ConfigKey.ROPE_FACTOR, LlamaTable.POSITIVE),
          ConfigRow.of(ConfigKey.ROPE_MSCALE_ALL, new Real(0, 1e6)).optional().nullable());

  private static final ConfigRow<Integer> ORIGINAL =
      ConfigRow.of(ConfigKey.ROPE_ORIGINAL, LlamaTable.TOKENS).optional().nullable();

  /** The further keys of each type. */
  static final Map<String, ConfigTable> TYPES =
      Map.of(
          "default",
          ConfigTable.of(),
          "linear",
          SCALED,
          "llama3",
          SCALED.with(
              ORIGINAL,
              ConfigRow.of(ConfigKey.ROPE_LOW, LlamaTable.POSITIVE),
              ConfigRow.of(ConfigKey.ROPE_HIGH, LlamaTable.POSITIVE)),
          "yarn",
          SCALED.with(
              ConfigRow.of(ConfigKey.ROPE_FACTOR, LlamaTable.POSITIVE).optional().nullable(),
              ORIGINAL,
              ConfigRow.of(ConfigKey.ROPE_FAST, LlamaTable.POSITIVE).absent(32.0).ifNull(32.0),
              ConfigRow.of(ConfigKey.ROPE_SLOW, LlamaTable.POSITIVE).absent(1.0).ifNull(1.0),
              LlamaTable.flag(ConfigKey.ROPE_TRUNCATE, true),
              ConfigRow.of(ConfigKey.ROPE_ATTENTION, new Real(0, 1e6)).optional().nullable(),
              ConfigRow.of(ConfigKey.ROPE_MSCALE, new Real(0, 1e6)).optional().nullable()));

  private final ConfigValues config;
  private final ConfigObject outer;

  private RopeReader(ConfigValues config) {
    this.config = config;
    outer = config.config();
  }

  /**
   * @param absent the family's rope where the configuration names none; null for the standard one
   * @param layerTypes names of the types of layers that the model has
   * @throws org.winnow.CheckpointException naming the key that is missing or wrong
   */
  static ModelConfig.Rope read(
      ConfigValues config, @Nullable Map<String, @Nullable Object> absent, Set<String> layerTypes) {
    return new RopeReader(config).read(absent, layerTypes);
  }

  private ModelConfig.Rope read(
      @Nullable Map<String, @Nullable Object> absent, Set<String> layerTypes) {
    ConfigObject scaling = outer.object("rope_scaling");
    ConfigObject parameters = outer.object("rope_parameters");
    if (scaling != null && !scaling.isEmpty()) {
      requireOneTheta(scaling, parameters);
      return read(scaling, layerTypes);
    }
    if (parameters != null) return read(parameters, layerTypes);
    Map<String, @Nullable Object> values = absent == null ? Map.of() : absent;
    return one(outer.inner("rope_parameters", values));
  }

  /** A theta in what {@code rope_scaling} replaces must not be lost in silence. */
  private void requireOneTheta(ConfigObject scaling, @Nullable ConfigObject parameters) {
    if (parameters == null || outer.get("rope_theta") != null || scaling.contains("rope_theta"))
      return;
    Object theta = parameters.get("rope_theta");
    double standard = config.or(ConfigKey.THETA, 0.0);
    if (theta != null && !(theta instanceof Number number && number.doubleValue() == standard))
      throw parameters.fault(
          "rope_theta", standard + ", as rope_scaling takes the place of rope_parameters", theta);
  }

  private ModelConfig.Rope read(ConfigObject given, Set<String> layerTypes) {
    Map<String, ModelConfig.Rope> byType = new LinkedHashMap<>();
    List<String> missing = new ArrayList<>();
    for (String type : layerTypes) {
      if (given.get(type) instanceof Map) {
        ConfigObject inner = given.object(type);
        if (inner != null) byType.put(type, one(inner));
      } else {
        missing.add(type);
      }
    }
    boolean nested =
        !byType.isEmpty()
            || given.get("full_attention") instanceof Map
            || given.get("sliding_attention") instanceof Map;
    if (!nested) return one(given);
    if (!missing.isEmpty())
      throw given.fault(
          missing.get(0), "an object, as there are layers of this type", given.get(missing.get(0)));
    ModelConfig.Rope first = byType.values().iterator().next();
    byType.forEach(
        (type, rope) -> {
          if (!rope.equals(first))
            config
                .unsupported()
                .add(given.unsupported(type, "the same rope in all layers", "another rope"));
        });
    return first;
  }

  private ModelConfig.Rope one(ConfigObject given) {
    ConfigValues any = ANY.read(given);
    config.unsupported().addAll(any.unsupported());
    String type = any.require(ConfigKey.ROPE_TYPE);
    ConfigValues values = TYPES.getOrDefault(type, ConfigTable.of()).read(given);
    int most = config.require(ConfigKey.MAX_POSITIONS);
    Integer original = original(given, values);
    Double theta = any.get(ConfigKey.THETA);
    if (theta == null) theta = config.require(ConfigKey.THETA);
    return new ModelConfig.Rope(
        type,
        theta,
        factor(given, type, values, original, most),
        original == null ? most : original,
        values.get(ConfigKey.ROPE_LOW),
        high(given, values),
        values.get(ConfigKey.ROPE_FAST),
        values.get(ConfigKey.ROPE_SLOW),
        values.or(ConfigKey.ROPE_TRUNCATE, true),
        values.get(ConfigKey.ROPE_ATTENTION),
        values.get(ConfigKey.ROPE_MSCALE),
        values.get(ConfigKey.ROPE_MSCALE_ALL),
        given.get("partial_rotary_factor") instanceof Number inside
            ? inside.doubleValue()
            : outer.get("partial_rotary_factor") instanceof Number beside
                ? beside.doubleValue()
                : 1);
  }

  /** The original context, which some configurations give beside the rope. */
  private @Nullable Integer original(ConfigObject given, ConfigValues values) {
    Integer inside = values.get(ConfigKey.ROPE_ORIGINAL);
    ConfigRow<Integer> row = values.table().row(ConfigKey.ROPE_ORIGINAL);
    if (row == null) return null;
    Integer beside = row.read(outer);
    if (inside != null && beside != null && !inside.equals(beside))
      throw given.fault(
          ConfigKey.ROPE_ORIGINAL.name(), beside + ", as the same key beside it says", inside);
    return inside != null ? inside : beside;
  }

  private static double factor(
      ConfigObject given, String type, ConfigValues values, @Nullable Integer original, int most) {
    Double factor = values.get(ConfigKey.ROPE_FACTOR);
    if (factor != null) return factor;
    if (!type.equals("yarn")) return 1;
    if (original == null)
      throw given.fault(
          ConfigKey.ROPE_FACTOR.name(), LlamaTable.POSITIVE.expected(), given.get("factor"));
    return (double) most / original;
  }

  private static @Nullable Double high(ConfigObject given, ConfigValues values) {
    Double low = values.get(ConfigKey.ROPE_LOW);
    Double high = values.get(ConfigKey.ROPE_HIGH);
    if (low != null && high != null && high <= low)
      throw given.fault(ConfigKey.ROPE_HIGH.name(), "more than low_freq_factor, " + low, high);
    return high;
  }
}
