package org.winnow.models;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/** Runs cases of {@link FuzzTargets} one after the other and collects what must not happen. */
final class FileFuzzer {
  /** Limit for one case; its files have at most a few hundred kilobytes. */
  static final int MAX_ALLOCATED_BYTES = 32 << 20;

  // Of the processor's time: other programs may keep a case waiting.
  private static final long MAX_NANOS = 1_000_000_000;

  /** A case that is still not done then never ends; the process exits with a stack trace. */
  private static final long MAX_WAIT_NANOS = 60_000_000_000L;

  private static final int MAX_MESSAGE = 1000; // characters

  record Tally(long cases, long opened, long refused) {
    Tally plus(boolean wasOpened) {
      return new Tally(cases + 1, opened + (wasOpened ? 1 : 0), refused + (wasOpened ? 0 : 1));
    }
  }

  private final long seed;
  private final Map<String, FuzzTargets.Target> targets;
  private final List<String> kinds;
  private final Map<String, Tally> tallies = new TreeMap<>();
  private final Map<String, String> findings = new LinkedHashMap<>();
  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private volatile String current = "";
  private volatile long currentBegan;

  FileFuzzer(long seed, Map<String, FuzzTargets.Target> targets) {
    this.seed = seed;
    this.targets = targets;
    this.kinds = FuzzTargets.schedule(targets.keySet());
  }

  /** Runs cases 0, 1, 2 and so on until this many have run or this much time has passed. */
  void run(long maxCases, long seconds) throws IOException {
    Thread watch = new Thread(new Watch(Thread.currentThread()), "watch");
    watch.setDaemon(true);
    currentBegan = System.nanoTime();
    watch.start();
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    for (long number = 0; number < maxCases && System.nanoTime() < end; number++) one(number);
    watch.interrupt();
  }

  /** What must not happen, and the first case in which it did. */
  Map<String, String> findings() {
    return findings;
  }

  Map<String, Tally> tallies() {
    return tallies;
  }

  String summary() {
    StringBuilder text = new StringBuilder();
    long cases = tallies.values().stream().mapToLong(Tally::cases).sum();
    text.append(cases).append(" cases of seed ").append(seed).append(':');
    tallies.forEach(
        (kind, tally) ->
            text.append(
                String.format(
                    "%n  %-12s %8d opened, %8d refused", kind, tally.opened, tally.refused)));
    return text.toString();
  }

  static long caseSeed(long seed, long number) {
    return seed * 1_000_003 + number;
  }

  private void one(long number) throws IOException {
    String kind = kinds.get((int) (number % kinds.size()));
    long caseSeed = caseSeed(seed, number);
    current = kind + ", seed " + seed + ", case " + number;
    currentBegan = System.nanoTime();
    long allocated = threads.getCurrentThreadAllocatedBytes();
    long began = threads.getCurrentThreadCpuTime();
    boolean opened = false;
    try {
      targets.get(kind).run(new Random(caseSeed), new JsonMutator(caseSeed));
      opened = true;
    } catch (CheckpointException e) {
      String message = e.getMessage();
      if (message.length() > MAX_MESSAGE || !message.matches("(?s).*expected \\S.*, found \\S.*"))
        find("a message of the wrong form", message);
    } catch (UnsupportedFormatException e) {
      if (String.valueOf(e.getMessage()).length() > MAX_MESSAGE)
        find("a message of the wrong form", e.getMessage());
    } catch (RuntimeException | Error e) {
      find(e.getClass().getSimpleName() + place(e), String.valueOf(e.getMessage()));
    }
    tallies.put(kind, tallies.getOrDefault(kind, new Tally(0, 0, 0)).plus(opened));
    if (threads.getCurrentThreadCpuTime() - began > MAX_NANOS) find("more than a second", "");
    if (threads.getCurrentThreadAllocatedBytes() - allocated >= MAX_ALLOCATED_BYTES)
      find("allocates out of proportion", "");
  }

  /** Where an exception was thrown: another place is another finding. */
  private static String place(Throwable e) {
    return e.getStackTrace().length == 0 ? "" : " at " + e.getStackTrace()[0];
  }

  private void find(String what, String detail) {
    findings.putIfAbsent(what, current + ": " + detail);
  }

  /** Ends the process if a case does not end. */
  private final class Watch implements Runnable {
    private final Thread watched;

    Watch(Thread watched) {
      this.watched = watched;
    }

    @Override
    public void run() {
      try {
        while (System.nanoTime() - currentBegan < MAX_WAIT_NANOS) Thread.sleep(1000);
      } catch (InterruptedException e) {
        return; // the run has ended
      }
      System.err.println(current + " does not end:");
      for (StackTraceElement frame : watched.getStackTrace()) System.err.println("  at " + frame);
      System.err.flush();
      Runtime.getRuntime().halt(1);
    }
  }
}
