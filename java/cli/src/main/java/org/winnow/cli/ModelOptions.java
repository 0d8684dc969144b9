package org.winnow.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;
import org.winnow.memory.EvictionPolicy;
import org.winnow.models.ExpertBudget;
import org.winnow.models.LanguageModel;
import org.winnow.models.LoadOptions;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/**
 * The options of every command that runs a model. They say how to open it. Only the types of
 * activations and cache change results.
 */
final class ModelOptions {
  /** The description of a parameter that names a model. */
  static final String PATH =
      "folder of the checkpoint, or OWNER/NAME[@REVISION] of a model that Hugging Face tools have"
          + " downloaded";

  /** Eviction policies by name. */
  enum Policy {
    LRU(EvictionPolicy::lru),
    LFU(EvictionPolicy::lfu),
    LFRU(EvictionPolicy::lfru);

    private final Supplier<EvictionPolicy> supplier;

    Policy(Supplier<EvictionPolicy> supplier) {
      this.supplier = supplier;
    }

    Supplier<EvictionPolicy> supplier() {
      return supplier;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  @Option(
      names = "--budget",
      paramLabel = "SIZE",
      defaultValue = "100%",
      converter = BudgetConverter.class,
      description =
          "memory for experts: a share of what all experts need (25%%) or bytes (2G and 2GiB are"
              + " 2 * 2^30, 2GB is 2 * 10^9, 4096); default: ${DEFAULT-VALUE}")
  private ExpertBudget budget;

  @Option(
      names = "--policy",
      paramLabel = "NAME",
      defaultValue = "lfru",
      converter = PolicyConverter.class,
      description =
          "which expert is evicted: lru (least recently used), lfu (least frequently used),"
              + " lfru (both combined); default: ${DEFAULT-VALUE}")
  private Policy policy;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      defaultValue = "cpu",
      description = "where to compute: cpu or cuda, see winnow doctor; default: ${DEFAULT-VALUE}")
  private String backend;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "threads of the CPU backend; default: one per processor")
  private int threads;

  @Mixin private ActivationsOption activations;

  @Option(
      names = "--read-ahead",
      description = "predict the next layer's experts and read them while this layer computes")
  private boolean readAhead;

  @Option(
      names = "--every-expert",
      description =
          "compute all experts for every token, as a dense layer does; slower, with the same result, for comparisons")
  private boolean everyExpert;

  @Option(
      names = "--cache-type",
      paramLabel = "TYPE",
      converter = CacheTypeConverter.class,
      description =
          "type of what the key-value cache holds: f32, or bf16 and f16, which take half the memory"
              + " and round keys and values; default: that of the activations")
  private @Nullable DType cacheType;

  @Spec(Spec.Target.MIXEE)
  private CommandSpec command;

  /**
   * Opens a model. A bar shows how far it is, on a terminal, if that takes longer than a moment.
   *
   * @throws ParameterException naming the option that is out of range
   */
  LanguageModel open(Path path, Terminal terminal) {
    return open(path, terminal, loadOptions());
  }

  /** The same for a comparison with results that were computed in f32. */
  LanguageModel openForReference(Path path, Terminal terminal) {
    LoadOptions inF32 = loadOptions().withActivations(DType.F32);
    return open(path, terminal, activations.over(inF32));
  }

  private static LanguageModel open(Path path, Terminal terminal, LoadOptions options) {
    try (OpeningProgress progress = new OpeningProgress(terminal)) {
      return LanguageModel.open(path, options.withProgress(progress));
    }
  }

  /**
   * The options for {@link org.winnow.models.LanguageModel#open}.
   *
   * @throws ParameterException naming the option that is out of range
   */
  LoadOptions loadOptions() {
    requireBackendName();
    try {
      return activations
          .over(LoadOptions.defaults())
          .withBudget(budget)
          .withEvictionPolicy(policy.supplier())
          .withReadAhead(readAhead)
          .withEveryExpert(everyExpert)
          .withBackendName(backend)
          .withThreads(threads)
          .withCacheType(cacheType);
    } catch (IllegalArgumentException e) {
      throw new ParameterException(command.commandLine(), Names.option(e));
    }
  }

  /**
   * Opens the backend alone.
   *
   * @throws ParameterException naming the option that is out of range
   */
  Backend openBackend() {
    requireBackendName();
    if (threads < 0)
      throw new ParameterException(
          command.commandLine(), "--threads must not be negative, found " + threads);
    if (threads == 0 || !backend.equals(CpuBackend.NAME)) return Backend.require(backend);
    return new CpuBackend(InstructionSet.best(), threads);
  }

  private void requireBackendName() {
    Set<String> backends = new TreeSet<>(List.of("cpu", "cuda")); // valid even if a jar is missing
    Backend.providers().forEach(provider -> backends.add(provider.name()));
    if (!backends.contains(backend))
      throw new ParameterException(
          command.commandLine(),
          "--backend: there is no " + backend + "; there are: " + String.join(", ", backends));
  }

  /** The options in words, such as {@code "25 %, lfru, read-ahead"}. */
  String describe() {
    return budget
        + ", "
        + policy
        + (readAhead ? ", read-ahead" : "")
        + (everyExpert ? ", every expert" : "")
        + (cacheType == null ? "" : ", cache of " + cacheType);
  }

  Policy policy() {
    return policy;
  }

  boolean readAhead() {
    return readAhead;
  }

  /** Parses a policy for picocli, whose own message would list the constants in capitals. */
  static final class PolicyConverter implements ITypeConverter<Policy> {
    @Override
    public Policy convert(String value) {
      for (Policy policy : Policy.values()) {
        if (policy.toString().equalsIgnoreCase(value)) return policy;
      }
      throw new TypeConversionException(
          "policy must be one of "
              + Arrays.stream(Policy.values())
                  .map(Policy::toString)
                  .collect(Collectors.joining(", "))
              + ", found "
              + value);
    }
  }

  /** Parses the type of a cache for picocli. */
  static final class CacheTypeConverter implements ITypeConverter<DType> {
    @Override
    public DType convert(String value) {
      for (DType type : DType.values()) {
        if (type.isFloating() && type.toString().equals(value)) return type;
      }
      throw new TypeConversionException(
          "the type of a cache must be f32, bf16 or f16, found " + value);
    }
  }

  /** Parses a budget for picocli. */
  static final class BudgetConverter implements ITypeConverter<ExpertBudget> {
    @Override
    public ExpertBudget convert(String value) {
      try {
        return ExpertBudget.parse(value);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }
}
