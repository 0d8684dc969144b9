package org.winnow;

import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.InstructionSet;

/**
 * Each instruction set that this machine supports, on two threads. One and three threads must give
 * the same bits.
 */
final class CpuBackendsUnderTest extends BackendsUnderTest {
  @Override
  protected Variant standardVariant() {
    InstructionSet best = InstructionSet.best();
    return new Variant("cpu", CpuBackend::new, otherTeams(best), true);
  }

  @Override
  protected List<Variant> allVariants() {
    return Stream.of(InstructionSet.values())
        .filter(InstructionSet::isSupported)
        .map(set -> new Variant("cpu " + set, () -> new CpuBackend(set, 2), otherTeams(set), true))
        .toList();
  }

  @Override
  protected boolean isLargeTier() {
    return true;
  }

  private static List<Supplier<Backend>> otherTeams(InstructionSet set) {
    return List.of(() -> new CpuBackend(set, 1), () -> new CpuBackend(set, 3));
  }
}
