package org.winnow.fuzz;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.winnow.WinnowException;

/** Which ends of a call are allowed, and how often each method came to which. */
final class Outcomes {
  /** By method: calls, and of these the ones that gave a value. */
  private final TreeMap<String, long[]> counts = new TreeMap<>();

  private final Map<String, Set<String>> documented;
  private final Map<String, String> found = new HashMap<>();
  private final Path findings;
  private final BooleanSupplier nearlyFull;

  /**
   * @param documented simple names of the exceptions that a method's Javadoc has, by its key
   * @param findings the file that takes each new finding at once
   * @param nearlyFull whether the objects of earlier calls leave the process little memory
   */
  Outcomes(Map<String, Set<String>> documented, Path findings, BooleanSupplier nearlyFull) {
    this.documented = documented;
    this.findings = findings;
    this.nearlyFull = nearlyFull;
  }

  synchronized void value(String key) {
    long[] count = counts.computeIfAbsent(key, k -> new long[2]);
    count[0]++;
    count[1]++;
  }

  /**
   * @param hasNull whether an argument was null, or holds something that was made with null
   * @param huge whether an argument asks for more memory than there may be
   */
  synchronized void thrown(
      String key, Throwable thrown, boolean hasNull, boolean huge, String call) {
    counts.computeIfAbsent(key, k -> new long[2])[0]++;
    if (!isAllowed(key, thrown, hasNull, huge)) report(key, thrown, call);
  }

  /** What was thrown while arguments were made, or on a thread of Winnow's own. */
  synchronized void elsewhere(String where, Throwable thrown, boolean lenient) {
    if (!isAllowed("", thrown, lenient, true)) report(where, thrown, where);
  }

  private boolean isAllowed(String key, Throwable thrown, boolean hasNull, boolean huge) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof Hostile.Thrown) return true;
    }
    if (thrown instanceof WinnowException) return true;
    Class<?> type = thrown.getClass();
    if (type == IllegalArgumentException.class
        || type == IllegalStateException.class
        || type == UnsupportedOperationException.class
        || type == IndexOutOfBoundsException.class) return true;
    if (type == NullPointerException.class && hasNull) return true;
    if (type == OutOfMemoryError.class
        && (huge || asksForGigabytes(thrown) || nearlyFull.getAsBoolean())) return true;
    Set<String> named = documented.getOrDefault(key, Set.of());
    for (Class<?> t = type; t != null; t = t.getSuperclass()) {
      if (named.contains(t.getSimpleName())) return true;
    }
    return false;
  }

  /** Whether the message names at least 4 GiB: of an object that was made for so much. */
  private static boolean asksForGigabytes(Throwable thrown) {
    Matcher size =
        Pattern.compile("no memory for (\\d{10,19}) bytes").matcher("" + thrown.getMessage());
    return size.find() && Long.parseLong(size.group(1)) >= 1L << 32;
  }

  private void report(String key, Throwable thrown, String call) {
    List<String> frames = new ArrayList<>();
    String place = null;
    for (StackTraceElement frame : thrown.getStackTrace()) {
      boolean ours = frame.getClassName().startsWith("org.winnow.");
      if (ours && frame.getClassName().startsWith("org.winnow.fuzz.")) break;
      if (ours && place == null)
        place = frame.getClassName() + "." + frame.getMethodName() + ":" + frame.getLineNumber();
      if (frames.size() < 12) frames.add("    at " + frame);
    }
    if (place == null) place = key;
    String id = thrown.getClass().getName() + " at " + place;
    if (found.put(id, key) != null) return;
    String text =
        "FINDING "
            + id
            + "\n  in "
            + call
            + "\n  "
            + thrown
            + "\n"
            + String.join("\n", frames)
            + "\n";
    try {
      Files.writeString(findings, text, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException e) {
      System.err.println(text);
    }
  }

  synchronized long calls() {
    return counts.values().stream().mapToLong(count -> count[0]).sum();
  }

  synchronized void write(Path file) throws IOException {
    StringBuilder text = new StringBuilder();
    counts.forEach(
        (key, count) ->
            text.append(key)
                .append('\t')
                .append(count[0])
                .append('\t')
                .append(count[1])
                .append('\n'));
    Path whole = file.resolveSibling(file.getFileName() + ".next");
    Files.writeString(whole, text);
    Files.move(whole, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
  }
}
