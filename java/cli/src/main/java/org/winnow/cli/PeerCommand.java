package org.winnow.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * A command of the user's that prints tokens per second. It runs in a shell, without input. When a
 * run ends, also early, no process that it has started is left: they are found by a variable in
 * their environment, which those that have lost their parent have too.
 */
final class PeerCommand {
  private static final String MARK = "WINNOW_BENCH_PEER";
  private static final int MAX_OUTPUT = 4 << 20; // characters
  private static final int MAX_SEARCHES = 500; // of the processes of the machine
  private static final int UNDECIDED_SEARCHES = 20;
  private static final long REST_SECONDS = 10;
  private static final int MAX_LINE = 200; // of a message

  private final String command;
  private final long limitSeconds;

  /** Why a run gave no results. The message is one line. */
  static final class Failure extends Exception {
    private static final long serialVersionUID = 1L;

    Failure(String message) {
      super(message);
    }
  }

  /**
   * @param limitSeconds after which a run is ended
   */
  PeerCommand(String command, long limitSeconds) {
    this.command = command;
    this.limitSeconds = limitSeconds;
  }

  @Override
  public String toString() {
    return command;
  }

  /**
   * Runs it once.
   *
   * @return at least one result
   * @throws Failure if it fails, does not end in time, or prints nothing that can be read
   */
  List<PeerResult> run() throws Failure {
    String mark = MARK + "=" + UUID.randomUUID();
    Thread hook = new Thread(() -> killAll(mark), "winnow-peer-killer");
    Runtime.getRuntime().addShutdownHook(hook);
    try {
      return results(mark);
    } catch (IOException e) {
      throw new Failure("cannot be run: " + ExitCode.reason(e));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new Failure("was interrupted");
    } finally {
      killAll(mark);
      try {
        Runtime.getRuntime().removeShutdownHook(hook);
      } catch (IllegalStateException e) {
        // The process is ending and the hook is running.
      }
    }
  }

  private List<PeerResult> results(String mark) throws IOException, InterruptedException, Failure {
    ProcessBuilder builder = new ProcessBuilder("/bin/sh", "-c", command);
    builder.environment().put(MARK, mark.substring(MARK.length() + 1));
    builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
    Process process = builder.start();
    CompletableFuture<String> out = read(process.getInputStream());
    CompletableFuture<String> err = read(process.getErrorStream());
    boolean ended = process.waitFor(limitSeconds, TimeUnit.SECONDS);
    killAll(mark); // what still holds its output open; Process.destroy would close it unread
    process.waitFor();
    String printed = rest(out);
    String errors = rest(err);
    String last = lastLine(errors.isBlank() ? printed : errors);
    if (!ended) throw new Failure("did not end within " + limitSeconds + " s" + last);
    if (process.exitValue() != 0) throw new Failure("exit code " + process.exitValue() + last);
    return parsed(printed, last);
  }

  /** What a stream gave, once the processes that wrote to it have ended. */
  private static String rest(CompletableFuture<String> text) throws InterruptedException, Failure {
    try {
      return text.get(REST_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException e) {
      throw new Failure("left a process that holds its output and cannot be found");
    }
  }

  private static List<PeerResult> parsed(String printed, String last) throws Failure {
    if (printed.isBlank()) throw new Failure("exit code 0, but it printed nothing" + last);
    try {
      List<PeerResult> results = LlamaBenchOutput.parse(printed);
      if (!results.isEmpty()) return results;
      throw new Failure("exit code 0, but no tokens per second in the form of llama-bench" + last);
    } catch (IOException e) {
      String reason = String.valueOf(e.getMessage()).lines().findFirst().orElse("");
      throw new Failure("exit code 0, but its output cannot be read: " + reason);
    }
  }

  private static String lastLine(String text) {
    List<String> lines = text.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
    if (lines.isEmpty()) return "";
    String last = lines.get(lines.size() - 1).replaceAll("\\p{Cntrl}", "?");
    return "; its last line: " + (last.length() > MAX_LINE ? last.substring(0, MAX_LINE) : last);
  }

  /** Reads a stream to its end on a thread of its own, and keeps its beginning. */
  private static CompletableFuture<String> read(InputStream stream) {
    CompletableFuture<String> text = new CompletableFuture<>();
    Thread reader =
        new Thread(
            () -> {
              StringBuilder kept = new StringBuilder();
              char[] part = new char[8192];
              try (BufferedReader in =
                  new BufferedReader(new InputStreamReader(stream, StandardCharsets.UTF_8))) {
                for (int n; (n = in.read(part)) >= 0; )
                  kept.append(part, 0, Math.min(n, MAX_OUTPUT - kept.length()));
              } catch (IOException e) {
                // What was read until the process was ended is all there is.
              }
              text.complete(kept.toString());
            },
            "winnow-peer-output");
    reader.setDaemon(true);
    reader.start();
    return text;
  }

  /**
   * Ends all processes with this mark until none is left, since they may start others. A process
   * that is just becoming another program has no environment yet, so it is looked at again.
   */
  private static void killAll(String mark) {
    for (int i = 0; i < MAX_SEARCHES; i++) {
      Search search = Search.of(mark);
      if (search.marked.isEmpty() && (!search.undecided || i >= UNDECIDED_SEARCHES)) return;
      search.marked.forEach(ProcessHandle::destroyForcibly);
      try {
        Thread.sleep(10);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt(); // a few searches without pauses are enough
      }
    }
  }

  /**
   * The processes of the machine.
   *
   * @param marked those with the mark that live
   * @param undecided whether there is one without an environment
   */
  private record Search(List<ProcessHandle> marked, boolean undecided) {
    static Search of(String mark) {
      List<ProcessHandle> marked = new ArrayList<>();
      boolean undecided = false;
      try (DirectoryStream<Path> processes = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
        for (Path process : processes) {
          String environment = environment(process);
          undecided |= environment.isEmpty();
          if (environment.contains(mark))
            ProcessHandle.of(Long.parseLong(process.getFileName().toString()))
                .ifPresent(marked::add);
        }
      } catch (IOException | DirectoryIteratorException e) {
        return new Search(List.of(), false); // there is no /proc
      }
      return new Search(marked, undecided);
    }

    /** Empty while a process becomes another program; the kernel's own have no program. */
    private static String environment(Path process) {
      try {
        Files.readSymbolicLink(process.resolve("exe"));
        return Files.readString(process.resolve("environ"), StandardCharsets.ISO_8859_1);
      } catch (IOException e) {
        return "another user's, or gone";
      }
    }
  }
}
