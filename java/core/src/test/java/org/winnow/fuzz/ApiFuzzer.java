package org.winnow.fuzz;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.winnow.Tensor;

/**
 * A child of {@link FuzzCampaign}: calls the API until a number of calls or a time is reached. With
 * one lane a seed makes the same calls again; with two, threads race over the same objects.
 */
public final class ApiFuzzer {
  static final int HANG_EXIT = 97;

  /** A disk that others write to may take half a minute to make a file durable. */
  static final long HANG_MILLIS = 60_000;

  private static final long HANG_MILLIS_OF_ITS_TEST = 10_000;
  private static final long STEP_MILLIS = 500;

  private ApiFuzzer() {}

  /** Seed, calls, seconds, lanes, folder, pattern of methods to leave out. */
  public static void main(String[] arguments) throws Exception {
    long seed = Long.parseLong(arguments[0]);
    long maxCalls = Long.parseLong(arguments[1]);
    long end = System.nanoTime() + Long.parseLong(arguments[2]) * 1_000_000_000L;
    int numLanes = Integer.parseInt(arguments[3]);
    Path folder = Path.of(arguments[4]);
    String skip = arguments.length > 5 ? arguments[5] : "";
    FuzzFiles.write(folder);
    Outcomes outcomes =
        new Outcomes(
            documented(folder.resolve("documented")),
            folder.resolve("findings"),
            ApiFuzzer::isNearlyFull);
    Thread.setDefaultUncaughtExceptionHandler(
        (thread, e) -> outcomes.elsewhere("thread " + thread.getName(), e, true));
    List<ExportedApi.Member> members = Lane.callable(new ExportedApi(Tensor.class).members(), skip);
    Pool pool = new Pool();
    Taint taint = new Taint();
    AtomicLong steps = new AtomicLong();
    List<Lane> lanes = new ArrayList<>();
    List<Thread> threads = new ArrayList<>();
    watch(lanes, outcomes, folder, arguments.length > 6 ? HANG_MILLIS_OF_ITS_TEST : HANG_MILLIS);
    if (arguments.length > 6) misbehave(arguments[6], lanes);
    for (int i = 0; i < numLanes; i++) {
      World world = new World(seed * 31 + i, pool, folder);
      CallLog log = new CallLog(folder.resolve("calls-" + i));
      Thread thread =
          new Thread(
              () -> {
                Lane lane = new Lane(world, members, outcomes, taint, log, seed, numLanes == 1);
                synchronized (lanes) {
                  lanes.add(lane);
                }
                while (System.nanoTime() < end && steps.getAndIncrement() < maxCalls) lane.step();
                lane.finish();
              },
              "fuzz-lane-" + i);
      threads.add(thread);
      thread.start();
    }
    for (Thread thread : threads) thread.join();
    outcomes.write(folder.resolve("counts"));
    Runtime.getRuntime().halt(0); // objects that nobody closed are no reason to wait
  }

  /** What the campaign must notice: a JVM that crashes, a call that never ends. */
  private static void misbehave(String deed, List<Lane> lanes) throws InterruptedException {
    if (deed.equals("crashes")) Tensor.wrap(64, org.winnow.DType.I32, 1).getInt(0);
    synchronized (lanes) {
      lanes.add(Lane.thatHangs());
    }
    Thread.sleep(Long.MAX_VALUE);
  }

  private static Map<String, Set<String>> documented(Path file) throws IOException {
    Map<String, Set<String>> found = new HashMap<>();
    if (!Files.exists(file)) return found;
    for (String line : Files.readAllLines(file)) {
      String[] parts = line.split("\t");
      found.put(parts[0], Set.of(parts[1].split(" ")));
    }
    return found;
  }

  /** Whether more than half of the address space is taken that the process may have. */
  private static boolean isNearlyFull() {
    try {
      long limit = number(Path.of("/proc/self/limits"), "Max address space +(\\d+)");
      long used = number(Path.of("/proc/self/status"), "VmSize:\\s+(\\d+) kB") << 10;
      return used > limit / 2;
    } catch (IOException e) {
      return false;
    }
  }

  /** The number in a file of the system; the largest one if there is none. */
  private static long number(Path file, String pattern) throws IOException {
    Matcher found = Pattern.compile(pattern).matcher(Files.readString(file));
    return found.find() ? Long.parseLong(found.group(1)) : Long.MAX_VALUE >> 10;
  }

  /**
   * Ends the process, with all stacks in a file, when a call takes too long. Time is counted in
   * steps of this thread's own, which get longer too where other processes have the processors.
   */
  private static void watch(List<Lane> lanes, Outcomes outcomes, Path folder, long hangMillis) {
    Map<Lane, long[]> seen = new HashMap<>(); // when the call began, and steps since then
    Runnable steps =
        () -> {
          for (; ; ) {
            try {
              Thread.sleep(STEP_MILLIS);
              outcomes.write(folder.resolve("counts")); // what a crash leaves
            } catch (InterruptedException e) {
              return;
            } catch (IOException e) {
              throw new java.io.UncheckedIOException(e);
            }
            synchronized (lanes) {
              for (Lane lane : lanes) {
                long since = lane.since;
                long[] call = seen.computeIfAbsent(lane, key -> new long[2]);
                if (since != call[0]) call[1] = 0;
                call[0] = since;
                if (since != 0 && ++call[1] * STEP_MILLIS > hangMillis) hang(lane.running, folder);
              }
            }
          }
        };
    Thread watchdog = new Thread(steps, "fuzz-watchdog");
    watchdog.setDaemon(true);
    watchdog.start();
  }

  private static void hang(String call, Path folder) {
    StringBuilder text = new StringBuilder("HANG in " + call + "\n");
    Thread.getAllStackTraces()
        .forEach(
            (thread, frames) -> {
              if (!thread.getName().matches("(fuzz|winnow)-.*")) return;
              text.append("  ").append(thread.getName()).append('\n');
              for (int i = 0; i < Math.min(16, frames.length); i++)
                text.append("    at ").append(frames[i]).append('\n');
            });
    try {
      Files.writeString(folder.resolve("hang"), text);
    } catch (IOException e) {
      System.err.println(text);
    }
    Runtime.getRuntime().halt(HANG_EXIT);
  }
}
