package org.winnow.gpucheck;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** What the system says of the machine and of its driver. */
final class HostFacts {
  private static final int TOOL_SECONDS = 10;
  private static final String QUERY =
      "name,driver_version,pstate,clocks.sm,clocks.max.sm,clocks.mem,memory.total,memory.used,"
          + "power.limit,temperature.gpu,ecc.mode.current,mig.mode.current";

  private HostFacts() {}

  static Map<String, Object> of(Options options) {
    Map<String, Object> facts = new LinkedHashMap<>();
    put(facts, "processor", line(Path.of("/proc/cpuinfo"), "model name"));
    facts.put("threads", Runtime.getRuntime().availableProcessors());
    put(facts, "memory", line(Path.of("/proc/meminfo"), "MemTotal"));
    facts.put("system", System.getProperty("os.name") + " " + System.getProperty("os.version"));
    put(facts, "distribution", line(Path.of("/etc/os-release"), "PRETTY_NAME"));
    facts.put("Java", System.getProperty("java.runtime.version"));
    put(facts, "driver", line(Path.of("/proc/driver/nvidia/version"), "NVRM version"));
    Path tool = options.tool("nvidia-smi");
    if (tool != null && options.standIn() == null) {
      String[] names = QUERY.split(",");
      String[] values =
          output(tool.toString(), "--query-gpu=" + QUERY, "--format=csv,noheader").split(",");
      for (int i = 0; i < Math.min(names.length, values.length); i++)
        facts.put("nvidia-smi " + names[i], values[i].strip());
    }
    return facts;
  }

  private static void put(Map<String, Object> facts, String name, String value) {
    if (!value.isEmpty()) facts.put(name, value);
  }

  /** What follows that name in the first line that begins with it. */
  private static String line(Path file, String name) {
    try {
      for (String line : Files.readAllLines(file)) {
        if (line.startsWith(name))
          return line.substring(name.length())
              .replaceFirst("^[\\s:=]+", "")
              .replace("\"", "")
              .strip();
      }
    } catch (IOException e) {
      // not on this system
    }
    return "";
  }

  /** The first line of what a program prints, nothing if it fails or takes too long. */
  private static String output(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      if (!process.waitFor(TOOL_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        return "";
      }
      List<String> lines = new String(process.getInputStream().readAllBytes()).lines().toList();
      return process.exitValue() == 0 && !lines.isEmpty() ? lines.get(0) : "";
    } catch (IOException e) {
      return "";
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return "";
    }
  }
}
