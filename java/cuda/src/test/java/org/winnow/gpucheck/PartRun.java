package org.winnow.gpucheck;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Runs a part's processes under {@code timeout}, which ends the whole group of a process: with
 * SIGTERM at the limit, with SIGKILL some seconds later.
 */
final class PartRun {
  private static final int KILL_AFTER_SECONDS = 3;
  private static final int TIMED_OUT = 124; // timeout's exit code
  private static final int KILLED = 128 + 9;

  /** How the processes of a part ended. */
  record End(int exitCode, boolean stopped, double seconds) {}

  private final Options options;
  private final Part part;
  private final int limitSeconds;
  private final Path log;
  private final long begin = System.nanoTime();

  PartRun(Options options, Part part, int limitSeconds) {
    this.options = options;
    this.part = part;
    this.limitSeconds = limitSeconds;
    log = options.output().resolve(part.name() + ".log");
  }

  PartResult run() throws IOException {
    ResultLines lines = new ResultLines(options.output().resolve(part.name() + ".jsonl"));
    List<Commands.Step> steps = new Commands(options, part).steps();
    int exitCode = 0;
    boolean stopped = false;
    for (int i = 0; i < steps.size(); i++) {
      Commands.Step step = steps.get(i);
      double left = limitSeconds - seconds();
      if (i > 0 && left < Commands.MIN_STEP_SECONDS) {
        lines.add(Map.of("kind", "not run", "what", step.what(), "text", "no time was left"));
        continue;
      }
      double limit =
          step.isLast() ? left : Math.max(Commands.MIN_STEP_SECONDS, left / (steps.size() - i));
      int code = run(step, Math.min(left, limit));
      boolean timedOut = code == TIMED_OUT || code == KILLED && seconds() >= limitSeconds - 1;
      if (steps.size() > 1 && code != 0)
        lines.add(
            Map.of(
                "kind",
                "not run",
                "what",
                step.what(),
                "text",
                timedOut
                    ? "stopped at its limit"
                    : "ended with exit code " + code + ", see " + log.getFileName()));
      if (!timedOut && code != 0) exitCode = code;
      stopped |= timedOut;
      step.afterwards(lines);
    }
    return PartResult.of(
        part, limitSeconds, lines.read(), new End(exitCode, stopped, seconds()), options, log);
  }

  private double seconds() {
    return (System.nanoTime() - begin) / 1e9;
  }

  private int run(Commands.Step step, double limit) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(options.tool("timeout") == null ? "timeout" : options.tool("timeout").toString());
    command.add("--kill-after=" + KILL_AFTER_SECONDS);
    command.add(String.format(java.util.Locale.ROOT, "%.1f", limit));
    command.addAll(step.command());
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log.toFile()));
    builder.redirectInput(new File("/dev/null"));
    builder.directory(step.directory().toFile());
    Files.createDirectories(step.directory());
    Process process = builder.start();
    Thread ending = new Thread(process::destroy); // timeout passes it on to its group
    Runtime.getRuntime().addShutdownHook(ending);
    try {
      return process.waitFor();
    } catch (InterruptedException e) {
      process.destroy();
      throw new IOException("interrupted", e);
    } finally {
      try {
        Runtime.getRuntime().removeShutdownHook(ending);
      } catch (IllegalStateException e) {
        // the check itself is being ended
      }
    }
  }
}
