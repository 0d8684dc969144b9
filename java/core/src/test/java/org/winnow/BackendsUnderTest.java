package org.winnow;

import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * The backends that contract tests use. The module under test provides them as a service of this
 * class; in core these are CPU backends.
 */
public abstract class BackendsUnderTest {
  /** For {@code @MethodSource}: one argument, a {@link Variant}. */
  public static final String VARIANTS = "org.winnow.BackendsUnderTest#variants";

  private static final BackendsUnderTest PROVIDED =
      ServiceLoader.load(BackendsUnderTest.class).findFirst().orElseGet(CpuBackendsUnderTest::new);
  private static final ConcurrentHashMap<String, Backend> SHARED = new ConcurrentHashMap<>();

  /**
   * One way in which a backend computes.
   *
   * @param name unique name for the test's report
   * @param opener opens a backend that the test closes
   * @param sameBits openers of backends whose results have the same bits: other numbers of threads
   * @param rowsAreIndependent whether a row has the same bits in a batch of any size
   */
  public record Variant(
      String name,
      Supplier<Backend> opener,
      List<Supplier<Backend>> sameBits,
      boolean rowsAreIndependent) {
    /** A backend that stays open and belongs to all tests. */
    public Backend backend() {
      return SHARED.computeIfAbsent(name, name -> opener.get());
    }

    @Override
    public String toString() {
      return name;
    }
  }

  /** The backend with default settings. */
  protected abstract Variant standardVariant();

  /** All variants that a test can force for all operations, at least one. */
  protected abstract List<Variant> allVariants();

  /** The variants for products with matrices, of which there may be more. */
  protected List<Variant> allMatrixVariants() {
    return allVariants();
  }

  /** Whether tests use the sizes of the large tier. */
  protected abstract boolean isLargeTier();

  /** The runs of every contract test class, in this order; a test's report numbers them from 1. */
  protected List<String> runs() {
    return List.of("once");
  }

  /** Called before each of {@link #runs}. */
  protected void begin(String run) {}

  static BackendsUnderTest provided() {
    return PROVIDED;
  }

  public static Variant standard() {
    return PROVIDED.standardVariant();
  }

  public static List<Variant> variants() {
    return PROVIDED.allVariants();
  }

  public static List<Variant> matrixVariants() {
    return PROVIDED.allMatrixVariants();
  }

  /** Those of them in which a row has the same bits in a batch of any size, at least one. */
  public static List<Variant> variantsOfIndependentRows() {
    return matrixVariants().stream().filter(Variant::rowsAreIndependent).toList();
  }

  /** The standard variant's backend, which stays open and belongs to all tests. */
  public static Backend shared() {
    return standard().backend();
  }

  /**
   * Selects the sizes of the current tier. Both tiers test the same edge cases. In the small tier,
   * a class takes seconds on a simulator that runs 200 million instructions per second.
   */
  public static <T> T sized(T small, T large) {
    return PROVIDED.isLargeTier() ? large : small;
  }

  /**
   * The same, with a third size for backends in host memory, which is too large for a simulator.
   */
  public static <T> T sized(T small, T large, T largeOnHost) {
    return sized(small, shared().memory().isHost() ? largeOnHost : large);
  }
}
