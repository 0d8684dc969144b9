package org.winnow.cuda;

import java.util.List;
import org.winnow.BackendsUnderTest;

/** What core's contract tests run on in this module. */
public final class CudaBackendsUnderTest extends BackendsUnderTest {
  /** Backends have memories of their own: a test's tensors belong to one. */
  private static Variant variant(String name, GroupedGemmPath path, boolean rowsAreIndependent) {
    return new Variant(
        name, () -> new CudaBackend(0, Long.MAX_VALUE, path), List.of(), rowsAreIndependent);
  }

  @Override
  protected Variant standardVariant() {
    return variant("cuda", GroupedGemmPath.AUTOMATIC, false);
  }

  @Override
  protected List<Variant> allVariants() {
    return List.of(standardVariant());
  }

  @Override
  protected List<Variant> allMatrixVariants() {
    return List.of(
        standardVariant(),
        variant("cuda, dot products", GroupedGemmPath.GEMV, true),
        variant("cuda, tiles", GroupedGemmPath.TILES, true));
  }

  /** The names are copies and seed, as in lazy-1. */
  @Override
  protected List<String> runs() {
    return List.of(System.getProperty("winnow.gpusim.runs", "lazy-1").split(" "));
  }

  @Override
  protected void begin(String run) {
    GpuSimExtension.choose(run);
  }

  @Override
  protected boolean isLargeTier() {
    return System.getProperty("winnow.test.tier", "small").equals("large");
  }
}
