package org.winnow.fuzz;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Loader;
import org.winnow.Tensor;

/**
 * Runs {@link ApiFuzzer} in child JVMs, one after the other, until enough calls were made or the
 * time is over. A crash, a hang or an exception that is not documented is a finding; what was
 * called last is in its text.
 */
public final class FuzzCampaign {
  private static final int SECONDS_PER_CHILD = 30;
  private static final int MOST_CRASHES = 40;

  private final long seed;
  private final long maxCalls;
  private final long maxSeconds;
  private final Path folder;
  private final String skip = System.getProperty("winnow.fuzz.skip", "");
  private final TreeMap<String, long[]> counts = new TreeMap<>();
  private final TreeMap<String, String> findings = new TreeMap<>();
  private int numCrashes;
  private int numHangs;

  FuzzCampaign(long seed, long maxCalls, long maxSeconds, Path folder) {
    this.seed = seed;
    this.maxCalls = maxCalls;
    this.maxSeconds = maxSeconds;
    this.folder = folder;
  }

  /** Seed, calls, seconds, folder. */
  public static void main(String[] arguments) throws Exception {
    FuzzCampaign campaign =
        new FuzzCampaign(
            Long.parseLong(arguments[0]),
            Long.parseLong(arguments[1]),
            Long.parseLong(arguments[2]),
            Path.of(arguments[3]));
    campaign.run();
    System.out.println(campaign.report());
  }

  void run() throws IOException, InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(maxSeconds);
    for (int child = 0; numCalls() < maxCalls && numCrashes + numHangs < MOST_CRASHES; child++) {
      long secondsLeft = TimeUnit.NANOSECONDS.toSeconds(end - System.nanoTime());
      if (secondsLeft < 1) return;
      runChild(
          seed + child,
          maxCalls - numCalls(),
          Math.min(secondsLeft, SECONDS_PER_CHILD),
          1 + (int) Math.floorMod(seed + child, 2L),
          Math.floorMod(seed + child, 4L) < 2);
    }
  }

  long numCalls() {
    return counts.values().stream().mapToLong(count -> count[0]).sum();
  }

  /** By what they are; empty if every call ended as it may. */
  TreeMap<String, String> findings() {
    return findings;
  }

  /** Methods that were called so often and gave a value in less than this share of the calls. */
  List<String> seldomDone(long calls, double share) {
    List<String> found = new ArrayList<>();
    counts.forEach(
        (key, count) -> {
          if (count[0] >= calls && count[1] < share * count[0]) found.add(key);
        });
    return found;
  }

  /** For the test of this class: a child that does only what its last argument says. */
  void runChildThat(String deed) throws IOException, InterruptedException {
    runChild(seed, 0, 0, 1, false, deed);
  }

  private void runChild(
      long childSeed, long calls, long seconds, int lanes, boolean guarded, String... deed)
      throws IOException, InterruptedException {
    Path own = folder.resolve("child-" + childSeed);
    deleteAll(own);
    Files.createDirectories(own);
    Files.writeString(own.resolve("documented"), documented());
    List<String> command =
        new ArrayList<>(
            List.of(
                // what is huge is refused: without this the system would lend it
                "sh", "-c", "ulimit -v 16000000; exec \"$@\"", "sh"));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx256m",
            "-XX:+UseSerialGC",
            // both compilers: the second one moves reads and lets objects go earlier
            childSeed % 4 == 0 ? "-XX:+TieredCompilation" : "-XX:TieredStopAtLevel=1",
            "-XX:MaxDirectMemorySize=256m",
            "-XX:-CreateCoredumpOnCrash",
            "-XX:ErrorFile=" + own.resolve("hs_err")));
    command.addAll(List.of("-cp", classPath(), ApiFuzzer.class.getName()));
    command.addAll(
        List.of(
            Long.toString(childSeed),
            Long.toString(calls),
            Long.toString(seconds),
            Integer.toString(lanes),
            own.toString(),
            skip));
    command.addAll(List.of(deed));
    ProcessBuilder builder =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(own.resolve("output").toFile());
    builder.environment().put("MALLOC_PERTURB_", "165"); // freed memory holds no valid index
    if (guarded) builder.environment().put("LD_PRELOAD", guardPages().toString());
    Process process = builder.start();
    boolean ended = process.waitFor(seconds + 3 * ApiFuzzer.HANG_MILLIS / 1000, TimeUnit.SECONDS);
    if (!ended) process.destroyForcibly().waitFor();
    int exit = ended ? process.exitValue() : ApiFuzzer.HANG_EXIT;
    collect(
        own,
        exit,
        "seed " + childSeed + ", " + lanes + " lanes" + (guarded ? ", guard pages" : ""));
    if (exit == 0) deleteAll(own);
  }

  /** The library of {@code guard_pages.c}, compiled once. */
  private Path guardPages() throws IOException, InterruptedException {
    Path library = folder.resolve("guard_pages.so");
    if (Files.exists(library)) return library;
    Path source = folder.resolve("guard_pages.c");
    try (InputStream resource = FuzzCampaign.class.getResourceAsStream("guard_pages.c")) {
      Files.copy(resource, source, StandardCopyOption.REPLACE_EXISTING);
    }
    Process compiler =
        new ProcessBuilder(
                "cc",
                "-O1",
                "-shared",
                "-fPIC",
                "-o",
                library.toString(),
                source.toString(),
                "-ldl")
            .inheritIO()
            .start();
    if (compiler.waitFor() != 0) throw new IOException("cc cannot compile " + source);
    return library;
  }

  private void collect(Path own, int exit, String run) throws IOException {
    if (Files.exists(own.resolve("counts"))) {
      for (String line : Files.readAllLines(own.resolve("counts"))) {
        String[] parts = line.split("\t");
        long[] count = counts.computeIfAbsent(parts[0], key -> new long[2]);
        count[0] += Long.parseLong(parts[1]);
        count[1] += Long.parseLong(parts[2]);
      }
    }
    if (Files.exists(own.resolve("findings"))) {
      for (String text : Files.readString(own.resolve("findings")).split("(?m)^FINDING ")) {
        if (!text.isBlank())
          findings.putIfAbsent(text.lines().findFirst().get(), run + ": " + text);
      }
    }
    if (exit == 0) return;
    List<String> lines = new ArrayList<>();
    lines.add(run + ", exit " + exit);
    String id;
    if (exit == ApiFuzzer.HANG_EXIT) {
      numHangs++;
      String stacks =
          Files.exists(own.resolve("hang")) ? Files.readString(own.resolve("hang")) : "";
      lines.add(stacks);
      id = "hang at " + firstOurs(stacks);
    } else {
      numCrashes++;
      List<String> crash = crash(own);
      lines.addAll(crash);
      id = "crash at " + firstOurs(String.join("\n", crash));
    }
    for (int lane = 0; lane < 2; lane++) {
      List<String> last = CallLog.last(own.resolve("calls-" + lane), 12);
      if (!last.isEmpty()) lines.add("lane " + lane + ":");
      lines.addAll(last);
    }
    findings.putIfAbsent(id, String.join("\n", lines));
  }

  /** The first frame of Winnow's own in a list of frames. */
  private static String firstOurs(String frames) {
    return frames
        .lines()
        .filter(line -> line.contains("org.winnow.") && !line.contains("org.winnow.fuzz."))
        .map(line -> line.replaceAll(".*?(org\\.winnow\\.[^(+]*).*", "$1"))
        .findFirst()
        .orElse("no frame of Winnow's");
  }

  /** What the JVM says of its end: signal, frames, Java frames. */
  private static List<String> crash(Path own) throws IOException {
    Path error = own.resolve("hs_err");
    if (!Files.exists(error)) {
      List<String> output = Files.readAllLines(own.resolve("output")); // "malloc(): invalid size"
      return output.subList(Math.max(0, output.size() - 20), output.size());
    }
    List<String> lines = new ArrayList<>();
    boolean frames = false;
    for (String line : Files.readAllLines(error)) {
      boolean isSignal = line.startsWith("siginfo") || line.startsWith("# C ");
      if (line.startsWith("Native frames") || line.startsWith("Java frames")) frames = true;
      if (line.isBlank()) frames = false;
      if (isSignal || (frames && lines.size() < 50)) lines.add(line);
    }
    return lines;
  }

  /** One line. */
  String summary() {
    long done = counts.values().stream().mapToLong(count -> count[1]).sum();
    return String.format(
        Locale.ROOT,
        "seed %d: %d calls of %d methods, %d gave a value (%.1f %%), %d crashes, %d hangs, %d"
            + " findings",
        seed,
        numCalls(),
        counts.size(),
        done,
        100.0 * done / Math.max(1, numCalls()),
        numCrashes,
        numHangs,
        findings.size());
  }

  /** Each finding with an example, and the share of values by method, the lowest first. */
  String report() {
    StringBuilder text = new StringBuilder(summary()).append('\n');
    text.append("The seed of a finding makes its calls again: -Dwinnow.fuzz.seed=SEED")
        .append(" -Dwinnow.fuzz.seconds=" + SECONDS_PER_CHILD + "\n");
    findings.forEach(
        (id, example) -> text.append("== ").append(id).append('\n').append(example).append('\n'));
    counts.entrySet().stream()
        .sorted((a, b) -> Double.compare(share(a.getValue()), share(b.getValue())))
        .forEach(
            entry ->
                text.append(
                    String.format(
                        Locale.ROOT,
                        "%6.1f %% of %7d  %s%n",
                        100 * share(entry.getValue()),
                        entry.getValue()[0],
                        entry.getKey())));
    return text.toString();
  }

  private static double share(long[] count) {
    return (double) count[1] / count[0];
  }

  /** What the Javadoc says is thrown, one method a line, where the sources are there to read. */
  private static String documented() {
    Path sources = Path.of("src", "main", "java");
    if (!Files.exists(sources)) return "";
    if (documentedText == null) {
      StringBuilder text = new StringBuilder();
      SourceApi said = new SourceApi(sources);
      for (ExportedApi.Member member : new ExportedApi(Tensor.class).members()) {
        SourceApi.Said found = said.find(member.key());
        if (found != null && !found.thrown().isEmpty())
          text.append(member.key())
              .append('\t')
              .append(String.join(" ", found.thrown()))
              .append('\n');
      }
      documentedText = text.toString();
    }
    return documentedText;
  }

  private static String documentedText;

  /** What a child needs: the classes, the tests, JavaCPP. */
  static String classPath() {
    List<String> places = new ArrayList<>();
    for (Class<?> type : List.of(Tensor.class, ApiFuzzer.class, Loader.class)) {
      try {
        places.add(
            Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString());
      } catch (java.net.URISyntaxException e) {
        throw new IllegalStateException(e);
      }
    }
    return String.join(System.getProperty("path.separator"), places);
  }

  private static void deleteAll(Path folder) throws IOException {
    if (!Files.exists(folder)) return;
    try (Stream<Path> walk = Files.walk(folder)) {
      for (Path path : walk.sorted(java.util.Comparator.reverseOrder()).toList())
        Files.deleteIfExists(path);
    }
  }
}
