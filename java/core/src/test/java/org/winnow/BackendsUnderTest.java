package org.winnow;

import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * What contract tests run on: the backends that the module under test provides as a service of this
 * class, in core those of the CPU.
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
   * @param name for the test's report; unlike the others'
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

  /** Every way of computing that a test can force for all operations, at least one. */
  protected abstract List<Variant> allVariants();

  /** Those that differ in products with matrices, where there are more. */
  protected List<Variant> allMatrixVariants() {
    return allVariants();
  }

  /** Whether tests take the sizes of the large tier. */
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
   * The sizes of the tier: both have the same edges; a class takes seconds in the small one on an
   * interpreter of 200 million instructions a second.
   */
  public static <T> T sized(T small, T large) {
    return PROVIDED.isLargeTier() ? large : small;
  }

  /** The same with a third size where host memory is computed on: an interpreter takes no such. */
  public static <T> T sized(T small, T large, T largeOnHost) {
    return sized(small, shared().memory().isHost() ? largeOnHost : large);
  }
}
