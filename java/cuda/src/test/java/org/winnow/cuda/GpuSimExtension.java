package org.winnow.cuda;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * For every test class of this module, core's too: skips them, with the reason, where there are no
 * kernels or nothing to run them on; runs them with the seed that the build names; fails a test
 * during or before which the stand-in found something.
 */
public final class GpuSimExtension
    implements BeforeAllCallback, BeforeEachCallback, AfterEachCallback, AfterAllCallback {
  private static final long SEED = Long.getLong("winnow.gpusim.seed", 1);
  private static final boolean LAZY =
      !System.getProperty("winnow.gpusim.copies", "lazy").equals("eager");

  @Override
  public void beforeAll(ExtensionContext context) {
    Class<?> test = context.getRequiredTestClass();
    if (test.isAnnotationPresent(WithoutDevice.class)) return;
    String cause = GpuSim.cause(); // before anything asks for the driver
    assumeTrue(
        CudaDriver.unavailabilityCause() == null,
        () -> (cause == null ? "" : cause + "; ") + CudaDriver.unavailabilityCause());
    if (test.isAnnotationPresent(OnStandInOnly.class)) assumeTrue(GpuSim.isLoaded(), cause);
    begin();
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
    GpuSim.configure(SEED, LAZY, true);
    assertNothingFound(); // between tests, as in what runs before all of a class
  }

  private static void assertNothingFound() {
    if (GpuSim.isLoaded()) GpuReport.take();
  }
}
