package org.winnow.cli;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.BackendProvider;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.NativeLibrary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code winnow doctor}: shows which of the things that Winnow uses this machine has. */
@Command(
    name = "doctor",
    description =
        "Shows what Winnow finds on this machine: platform, natives, instruction sets, memory, disk, GPU.",
    footer = {"", "Example:", "  winnow doctor /models"})
final class DoctorCommand extends Subcommand {
  @Parameters(
      arity = "0..1",
      paramLabel = "PATH",
      defaultValue = ".",
      description = "folder of models, whose file system is examined (default: .)")
  private Path path;

  @Override
  int run(Terminal terminal) throws IOException {
    if (!Files.exists(path)) throw new NoSuchFileException(path.toString());
    String cause = NativeLibrary.unavailabilityCause();
    Table facts = Table.ofFacts();
    facts.row(
        "platform",
        NativeLibrary.platform()
            + ", "
            + processor()
            + ", "
            + Runtime.getRuntime().availableProcessors()
            + " threads");
    facts.row(
        "java",
        System.getProperty("java.vm.name")
            + " "
            + Runtime.version()
            + ", "
            + System.getProperty("java.home"));
    if (cause == null) {
      facts.row("natives", NativeLibrary.path() + ", ABI " + NativeLibrary.abiVersion());
      facts.row("instruction sets", instructionSets());
    } else {
      facts.row("natives", "missing: " + cause);
    }
    facts.row("backends", backends());
    facts.row("caches", caches());
    facts.row("memory", memory());
    facts.row("huge pages", hugePages());
    facts.row("O_DIRECT", directReads(path));
    facts.row("GPU", gpu());
    facts.print(terminal.out());
    return cause == null ? ExitCode.DONE : ExitCode.MISSING;
  }

  private static String processor() {
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
