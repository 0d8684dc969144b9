package org.winnow.cli;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.winnow.cpu.InstructionSet;
import org.winnow.cpu.NativeLibrary;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code winnow doctor}: what this machine has of what Winnow uses. */
@Command(
    name = "doctor",
    description = "Shows what Winnow finds on this machine: platform, natives, instruction sets, memory, disk, GPU driver.",
    mixinStandardHelpOptions = true)
final class DoctorCommand implements Callable<Integer> {
  @Parameters(arity = "0..1", paramLabel = "DIRECTORY", defaultValue = ".", description = "where models lie: its file system is looked at too (default: .)")
  private Path directory;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    String cause = NativeLibrary.unavailabilityCause();
    line(out, "platform", NativeLibrary.platform() + ", " + Runtime.getRuntime().availableProcessors() + " processors");
    line(out, "java", System.getProperty("java.vm.name") + " " + Runtime.version() + ", " + System.getProperty("java.home"));
    if (cause == null) {
      line(out, "natives", NativeLibrary.path() + ", ABI " + NativeLibrary.abiVersion());
      line(out, "instruction sets", instructionSets());
    } else {
      line(out, "natives", "missing: " + cause);
    }
    line(out, "memory", memory());
    line(out, "huge pages", hugePages());
    line(out, "O_DIRECT", directReads(directory));
    line(out, "caches", caches());
    line(out, "GPU driver", gpuDriver());
    out.flush();
    return cause == null ? 0 : 1;
  }

  private static void line(PrintWriter out, String name, String value) {
    out.printf("%-17s %s%n", name, value);
  }

  private static String instructionSets() {
    return Arrays.stream(InstructionSet.values()).filter(InstructionSet::isSupported).map(InstructionSet::toString).collect(Collectors.joining(" "))
        + " (used: " + InstructionSet.best() + ")";
  }

  private static String memory() {
    String total = field("/proc/meminfo", "MemTotal:");
    String available = field("/proc/meminfo", "MemAvailable:");
    return total == null ? "unknown" : gib(total) + " in all, " + gib(available) + " available";
  }

  private static String gib(String kibibytes) {
    return String.format("%.1f GiB", Long.parseLong(kibibytes) / 1048576.0);
  }

  private static String hugePages() {
    String setting = read("/sys/kernel/mm/transparent_hugepage/enabled");
    if (setting == null) return "unknown";
    String chosen = setting.substring(setting.indexOf('[') + 1, setting.indexOf(']'));
    return chosen.equals("never") ? "never: reading experts from memory is slower" : chosen;
  }

  /** Opens a file of that directory, or a new one, past the page cache. */
  private static String directReads(Path directory) {
    try {
      Path file = Files.createTempFile(directory, ".winnow-doctor", null);
      try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, ExtendedOpenOption.DIRECT)) {
        return "yes, in " + directory.toRealPath();
      } catch (IOException | UnsupportedOperationException e) {
        return "no, in " + directory.toRealPath() + " (" + e.getMessage() + "): experts are read through the page cache";
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      return "unknown, " + directory + " cannot be written: " + e.getMessage();
    }
  }

  private static String caches() {
    List<String> caches = new ArrayList<>();
    for (int index = 0; index < 8; index++) {
      String base = "/sys/devices/system/cpu/cpu0/cache/index" + index + "/";
      String level = read(base + "level");
      if (level == null) break;
      String type = read(base + "type");
      caches.add("L" + level + ("Unified".equals(type) ? "" : type.substring(0, 1).toLowerCase(Locale.ROOT)) + " " + read(base + "size"));
    }
    return caches.isEmpty() ? "unknown" : String.join(", ", caches);
  }

  private static String gpuDriver() {
    List<String> directories = new ArrayList<>(List.of("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/lib/wsl/lib"));
    String extra = System.getenv("LD_LIBRARY_PATH");
    if (extra != null) directories.addAll(0, List.of(extra.split(File.pathSeparator)));
    for (String candidate : directories) {
      Path driver = Path.of(candidate, "libcuda.so.1");
      if (Files.exists(driver)) return driver.toString();
    }
    return "none (libcuda.so.1 not found); the CPU backend is used";
  }

  private static String field(String file, String name) {
    String text = read(file);
    if (text == null) return null;
    return text.lines().filter(line -> line.startsWith(name)).map(line -> line.replaceAll("[^0-9]", "")).findFirst().orElse(null);
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file)).strip();
    } catch (IOException e) {
      return null; // not every kernel has every file; the reader says "unknown"
    }
  }
}
