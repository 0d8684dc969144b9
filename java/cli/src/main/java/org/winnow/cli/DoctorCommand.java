package org.winnow.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.sun.management.OperatingSystemMXBean;
import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.BackendProvider;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.NativeLibrary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code winnow doctor}: shows which of the things that Winnow uses this machine has. */
@Command(
    name = "doctor",
    description =
        "Shows what Winnow finds on this machine: platform, natives, instruction sets, memory, limits, disk, GPU.",
    footer = {"", "Examples:", "  winnow doctor /models", "  winnow doctor --json"})
final class DoctorCommand extends Subcommand {
  @Parameters(
      arity = "0..1",
      paramLabel = "PATH",
      defaultValue = ".",
      description = "folder of models, whose file system is examined (default: .)")
  private Path path;

  @Option(names = "--json", description = "print JSON, with the limits as numbers")
  private boolean json;

  @Override
  int run(Terminal terminal) throws IOException {
    if (!Files.exists(path)) throw new NoSuchFileException(path.toString());
    String cause = NativeLibrary.unavailabilityCause();
    Limits limits = Limits.ofThisProcess();
    Map<String, String> facts = facts(cause, limits);
    if (json) {
      terminal.out().print(JsonDocument.text(document -> write(document, facts, limits)));
      terminal.out().flush();
    } else {
      Table table = Table.ofFacts();
      facts.forEach(table::row);
      table.print(terminal.out());
    }
    return cause == null ? ExitCode.DONE : ExitCode.MISSING;
  }

  /** Names and values, in the order in which they are printed. */
  private Map<String, String> facts(@Nullable String cause, Limits limits) throws IOException {
    Map<String, String> facts = new LinkedHashMap<>();
    facts.put(
        "platform",
        NativeLibrary.platform()
            + ", "
            + processor()
            + ", "
            + Runtime.getRuntime().availableProcessors()
            + " threads, "
            + glibc());
    facts.put(
        "java",
        System.getProperty("java.vm.name")
            + " "
            + Runtime.version()
            + ", "
            + System.getProperty("java.home")
            + ", heap of at most "
            + Units.bytes(Runtime.getRuntime().maxMemory()));
    facts.put("class archive", ClassArchive.ofThisProcess().describe());
    if (cause == null) {
      facts.put("natives", NativeLibrary.path() + ", ABI " + NativeLibrary.abiVersion());
      facts.put("instruction sets", instructionSets());
      facts.put("products of 16 bits", products(InstructionSet.best()));
    } else {
      facts.put("natives", "missing: " + cause);
    }
    facts.put("natives cache", Directories.describeCache());
    facts.put("temporary files", Directories.describeTemporary());
    facts.put("backends", backends());
    facts.put("caches", caches());
    facts.put("memory", memory());
    facts.put("container", limits.describe());
    facts.put("process", limits.describeShell());
    facts.put("huge pages", hugePages());
    facts.put("O_DIRECT", directReads(path));
    facts.put("GPU", gpu());
    return facts;
  }

  private static void write(JsonGenerator json, Map<String, String> facts, Limits limits)
      throws IOException {
    json.writeStartObject();
    for (Map.Entry<String, String> fact : facts.entrySet())
      json.writeStringField(
          fact.getKey().toLowerCase(Locale.ROOT).replace(' ', '_'), fact.getValue());
    json.writeObjectFieldStart("limits");
    number(json, "memory_bytes", limits.memoryBytes());
    number(json, "memory_high_bytes", limits.memoryHighBytes());
    number(json, "memory_used_bytes", limits.memoryUsedBytes());
    number(json, "swap_bytes", limits.swapBytes());
    JsonDocument.number(json, "processors", limits.processors());
    number(json, "open_files", limits.openFiles());
    number(json, "locked_memory_bytes", limits.lockedBytes());
    json.writeEndObject();
    json.writeObjectFieldStart("seen_by_java");
    json.writeNumberField("heap_bytes", Runtime.getRuntime().maxMemory());
    json.writeNumberField("processors", Runtime.getRuntime().availableProcessors());
    json.writeNumberField(
        "memory_bytes",
        ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class).getTotalMemorySize());
    json.writeEndObject();
    json.writeEndObject();
  }

  private static void number(JsonGenerator json, String name, long limit) throws IOException {
    if (limit == Limits.NONE) json.writeNullField(name);
    else json.writeNumberField(name, limit);
  }

  /** The version of the C library, which is read from the library that this process has loaded. */
  private static String glibc() {
    for (String line : Limits.lines(Path.of("/proc/self/maps"))) {
      if (!line.endsWith("/libc.so.6")) continue;
      try {
        String content =
            Files.readString(
                Path.of(line.substring(line.indexOf('/'))), StandardCharsets.ISO_8859_1);
        Matcher version = Pattern.compile("release version ([0-9.]+[0-9])").matcher(content);
        if (version.find()) return "glibc " + version.group(1);
      } catch (IOException e) {
        break; // replaced since this process began
      }
    }
    return "C library unknown";
  }

  /** The name of the processor, as the system gives it. */
  static String processor() {
    String model = field("/proc/cpuinfo", "model name");
    return model == null ? "unknown processor" : model.substring(model.indexOf(':') + 1).strip();
  }

  private static String instructionSets() {
    return Arrays.stream(InstructionSet.values())
            .filter(InstructionSet::isSupported)
            .map(InstructionSet::toString)
            .collect(Collectors.joining(" "))
        + " (used: "
        + InstructionSet.best()
        + ")";
  }

  /** What multiplies weights and activations of 16 bits, in words of the processor's manual. */
  static String products(InstructionSet used) {
    return switch (used) {
      case PORTABLE -> "widened to f32";
      case AVX2 -> "widened to f32, multiplied with vfmadd of 8 lanes";
      case AVX512 ->
          "widened to f32, multiplied with vfmadd of 16 lanes"
              + (InstructionSet.AVX512_BF16.isSupported()
                  ? ", which is faster here than vdpbf16ps"
                  : "");
      case AVX512_BF16 -> "bf16 with vdpbf16ps, f16 widened to f32";
      case AMX_BF16 ->
          "bf16 with tiles of AMX (tdpbf16ps), one or two rows with vfmadd in the same order;"
              + " f16 widened to f32";
    };
  }

  private static String backends() {
    return Backend.providers().stream()
        .map(
            provider ->
                provider.name() + (provider.unavailabilityCause() == null ? "" : " (unavailable)"))
        .collect(Collectors.joining(", "));
  }

  private static String memory() {
    String total = field("/proc/meminfo", "MemTotal:");
    String available = field("/proc/meminfo", "MemAvailable:");
    return total == null || available == null
        ? "unknown"
        : Units.bytes(kibibytes(total))
            + " in total, "
            + Units.bytes(kibibytes(available))
            + " available";
  }

  private static long kibibytes(String line) {
    return 1024 * Long.parseLong(line.replaceAll("[^0-9]", ""));
  }

  private static String hugePages() {
    String setting = read("/sys/kernel/mm/transparent_hugepage/enabled");
    if (setting == null || !setting.contains("[")) return "unknown";
    String chosen = setting.substring(setting.indexOf('[') + 1, setting.indexOf(']'));
    return chosen.equals("never")
        ? "never: streaming experts from memory is slower without them"
        : chosen + (chosen.equals("madvise") ? ", which Winnow requests" : "");
  }

  /**
   * Tests whether a file in the directory can be opened without the page cache. Creates one if
   * there is none.
   */
  private static String directReads(Path path) throws IOException {
    Path absolute = path.toAbsolutePath();
    Path folder =
        Files.isDirectory(absolute) ? absolute : Objects.requireNonNull(absolute.getParent());
    Path directory = folder.toRealPath();
    Path file = anyFile(directory);
    boolean created = file == null;
    try {
      if (created) file = Files.createTempFile(directory, ".winnow-doctor", null);
    } catch (IOException e) {
      return "unknown: " + directory + " has no file and cannot be written";
    }
    try {
      FileChannel.open(file, StandardOpenOption.READ, ExtendedOpenOption.DIRECT).close();
      return "works in " + directory;
    } catch (IOException | UnsupportedOperationException e) {
      return "does not work in " + directory + ": experts are read through the page cache";
    } finally {
      if (created) Files.delete(file);
    }
  }

  private static @Nullable Path anyFile(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .filter(entry -> Files.isRegularFile(entry) && Files.isReadable(entry))
          .findFirst()
          .orElse(null);
    }
  }

  private static String caches() {
    List<String> caches = new ArrayList<>();
    for (int index = 0; index < 8; index++) {
      String base = "/sys/devices/system/cpu/cpu0/cache/index" + index + "/";
      String level = read(base + "level");
      String type = read(base + "type");
      String size = read(base + "size");
      if (level == null || type == null || size == null) break;
      caches.add(
          "L"
              + level
              + (type.equals("Unified") ? "" : type.substring(0, 1).toLowerCase(Locale.ROOT))
              + " "
              + Units.bytes(kibibytes(size)));
    }
    return caches.isEmpty() ? "unknown" : String.join(", ", caches);
  }

  private static String gpu() {
    for (BackendProvider provider : Backend.providers()) {
      if (!provider.name().equals("cuda")) continue;
      String cause = provider.unavailabilityCause();
      return cause == null ? String.join("; ", provider.devices()) : cause;
    }
    return "the jar org.winnow:winnow-cuda is not on the class path";
  }

  /** The first line of a file that begins with {@code name}, or null. */
  private static @Nullable String field(String file, String name) {
    String text = read(file);
    return text == null
        ? null
        : text.lines().filter(line -> line.startsWith(name)).findFirst().orElse(null);
  }

  private static @Nullable String read(String file) {
    try {
      return Files.readString(Path.of(file)).strip();
    } catch (IOException e) {
      return null; // not every kernel has every file; the caller prints "unknown"
    }
  }
}
