package org.winnow.cuda;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * For every test class of this module, core's too: skips them, with the reason, where there are no
 * kernels or nothing to run them on; runs them with the seed that the run names; fails a test
 * during or before which the stand-in found something.
 */
public final class GpuSimExtension
    implements ExecutionCondition,
        BeforeAllCallback,
        BeforeEachCallback,
        AfterEachCallback,
        AfterAllCallback {
  private static final ConditionEvaluationResult ENABLED = ConditionEvaluationResult.enabled("");
  private static final Pattern RUN = Pattern.compile("(lazy|eager)-(\\d+)");

  private static long seed = 1;
  private static boolean lazy = true;

  /**
   * How the tests that follow run.
   *
   * @param run lazy or eager, for when copies into shared memory arrive, and the seed: lazy-1
   */
  static void choose(String run) {
    Matcher parts = RUN.matcher(run);
    if (!parts.matches())
      throw new IllegalArgumentException("a run is lazy-<seed> or eager-<seed>, found " + run);
    lazy = parts.group(1).equals("lazy");
    seed = Long.parseLong(parts.group(2));
  }

  /** Of whole classes: nothing in them is even initialised. */
  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    Class<?> test = context.getRequiredTestClass();
    if (context.getTestMethod().isPresent() || test.isAnnotationPresent(WithoutDevice.class))
      return ENABLED;
    String cause = GpuSim.cause(); // before anything asks for the driver
    if (CudaDriver.unavailabilityCause() != null)
      return ConditionEvaluationResult.disabled(
          (cause == null ? "" : cause + "; ") + CudaDriver.unavailabilityCause());
    if (test.isAnnotationPresent(OnStandInOnly.class) && !GpuSim.isLoaded())
      return ConditionEvaluationResult.disabled(cause);
    return ENABLED;
  }

  @Override
  public void beforeAll(ExtensionContext context) {
    if (!context.getRequiredTestClass().isAnnotationPresent(WithoutDevice.class)) begin();
  }

  @Override
  public void beforeEach(ExtensionContext context) {
    begin();
  }

  /** What ran, the closing of backends included, left nothing to report. */
  @Override
  public void afterEach(ExtensionContext context) {
    assertNothingFound();
  }

  @Override
  public void afterAll(ExtensionContext context) {
    assertNothingFound();
  }

  private static void begin() {
    if (!GpuSim.isLoaded()) return;
    GpuSim.configure(seed, lazy, true);
    assertNothingFound(); // between tests, as in what runs before all of a class
  }

  private static void assertNothingFound() {
    if (GpuSim.isLoaded()) GpuReport.take();
  }
}
