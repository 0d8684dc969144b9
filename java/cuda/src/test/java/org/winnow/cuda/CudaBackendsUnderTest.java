package org.winnow.cuda;

import java.util.List;
import org.winnow.BackendsUnderTest;

/** What core's contract tests run on in this module. */
public final class CudaBackendsUnderTest extends BackendsUnderTest {
  @Override
  protected Variant standardVariant() {
    return new Variant("cuda", CudaBackend::new, List.of(CudaBackend::new), false);
  }

  @Override
  protected List<Variant> allVariants() {
    return List.of(standardVariant());
  }

  @Override
  protected boolean isLargeTier() {
    return System.getProperty("winnow.test.tier", "small").equals("large");
  }
}
