package org.winnow.gpucheck;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;

/**
 * Writes a line when a test begins and one when it ends, where {@link ResultLines#PROPERTY} names a
 * file. So a report can name the test that a crash or a hang ended. Classes that are skipped or
 * fail as a whole have a line, too.
 */
public final class TestResults implements TestExecutionListener {
  private static final int MAX_TEXT = 4000;

  private final ResultLines lines;
  private final Map<String, Long> begun = new ConcurrentHashMap<>();

  /** Called by JUnit. */
  public TestResults() {
    String file = System.getProperty(ResultLines.PROPERTY);
    lines = file == null ? null : new ResultLines(Path.of(file));
  }

  @Override
  public void executionStarted(TestIdentifier test) {
    if (lines == null || !test.isTest()) return;
    begun.put(test.getUniqueId(), System.nanoTime());
    add(test, "begun", null);
  }

  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    if (lines != null) add(test, "skipped", reason);
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    if (lines == null) return;
    TestExecutionResult.Status status = result.getStatus();
    if (!test.isTest() && status == TestExecutionResult.Status.SUCCESSFUL) return;
    String text = result.getThrowable().map(TestResults::text).orElse(null);
    switch (status) {
      case SUCCESSFUL -> add(test, "passed", null);
      case ABORTED ->
          add(test, "skipped", result.getThrowable().map(Throwable::getMessage).orElse(null));
      case FAILED -> add(test, "failed", text);
    }
  }

  private void add(TestIdentifier test, String state, String text) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("class", className(test));
    line.put("test", name(test));
    line.put("state", state);
    Long begin = begun.get(test.getUniqueId());
    if (begin != null && !state.equals("begun"))
      line.put("seconds", Math.round((System.nanoTime() - begin) / 1e6) / 1e3);
    if (text != null)
      line.put("text", text.length() > MAX_TEXT ? text.substring(0, MAX_TEXT) : text);
    lines.add(line);
  }

  private static String className(TestIdentifier test) {
    Object source = test.getSource().orElse(null);
    String name =
        source instanceof MethodSource method
            ? method.getClassName()
            : source instanceof ClassSource of ? of.getClassName() : test.getDisplayName();
    return name.substring(name.lastIndexOf('.') + 1);
  }

  /** The method, and what tells its runs apart. */
  private static String name(TestIdentifier test) {
    Optional<String> method =
        test.getSource()
            .filter(source -> source instanceof MethodSource)
            .map(source -> ((MethodSource) source).getMethodName());
    String shown = test.getDisplayName();
    if (method.isEmpty()) return shown;
    return shown.startsWith(method.get()) ? method.get() : method.get() + " " + shown;
  }

  private static String text(Throwable failure) {
    StringWriter text = new StringWriter();
    failure.printStackTrace(new PrintWriter(text));
    return text.toString();
  }
}
