package org.winnow;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.properties.HasModifiers.Predicates.modifier;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import com.tngtech.archunit.library.dependencies.SlicesRuleDefinition;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;

/**
 * Rules for the dependencies and the public API of core. Each rule is also tested on a class that
 * violates it.
 */
class CoreRulesTest {
  private static final JavaClasses CORE =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("org.winnow");

  private static final ArchRule USES_JAVACPP_AND_JAVA_ONLY =
      classes()
          .should()
          .onlyDependOnClassesThat(
              resideInAnyPackage(
                  "org.winnow..",
                  "org.bytedeco.javacpp..",
                  "java..",
                  "jdk.jfr..",
                  "org.jspecify.annotations..",
                  "com.sun.nio.file.."));

  private static final ArchRule SHOWS_NO_JAVACPP =
      classes()
          .that(modifier(JavaModifier.PUBLIC))
          .and()
          .resideOutsideOfPackages("org.winnow.internal..", "org.winnow.presets..")
          .should(showOnlyTypesOutside("org.bytedeco.."));

  private static final ArchRule SHOWS_NO_INTERNALS =
      classes()
          .that(modifier(JavaModifier.PUBLIC))
          .and()
          .resideOutsideOfPackages("org.winnow.internal..", "org.winnow.presets..")
          .should(showOnlyTypesOutside("org.winnow.internal.."));

  /** The one circle of packages: {@code org.winnow} hands its parts to {@code internal}. */
  private static final ArchRule HAS_ONE_CIRCLE_OF_PACKAGES =
      SlicesRuleDefinition.slices()
          .assignedFrom(
              new SliceAssignment() {
                @Override
                public SliceIdentifier getIdentifierOf(JavaClass javaClass) {
                  return SliceIdentifier.of(
                      javaClass.getPackageName().replaceFirst("winnow.internal$", "winnow"));
                }

                @Override
                public String getDescription() {
                  return "packages, internal counted to org.winnow";
                }
              })
          .should()
          .beFreeOfCycles();

  private static final ArchRule PRESETS_ARE_FOR_THE_BINDING =
      noClasses()
          .that()
          .resideOutsideOfPackages("org.winnow.presets..", "org.winnow.internal..")
          .should()
          .dependOnClassesThat(resideInAPackage("org.winnow.presets.."));

  private static final ArchRule RUNS_ON_EVERY_BACKEND =
      classes()
          .that()
          .haveSimpleNameEndingWith("Test")
          .and(dependOn(BackendsUnderTest.class))
          .and()
          .areNotAssignableTo(BackendsUnderTest.class)
          .should()
          .beAnnotatedWith(ContractTest.class);

  @Test
  void usesJavaCppAndJavaOnly() {
    USES_JAVACPP_AND_JAVA_ONLY.check(CORE);
    assertViolated(USES_JAVACPP_AND_JAVA_ONLY, CoreRulesTest.class);
  }

  @Test
  void showsNoJavaCppType() {
    SHOWS_NO_JAVACPP.check(CORE);
    assertViolated(SHOWS_NO_JAVACPP, ReturnsPointer.class);
    assertViolated(SHOWS_NO_JAVACPP, TakesPointer.class);
    assertViolated(SHOWS_NO_JAVACPP, HoldsPointer.class);
    assertViolated(SHOWS_NO_JAVACPP, IsPointer.class);
  }

  @Test
  void showsNoKernelsAndNoAddressTables() {
    SHOWS_NO_INTERNALS.check(CORE);
    assertViolated(SHOWS_NO_INTERNALS, ShowsKernels.class);
  }

  @Test
  void packagesFormOneCircleOnly() {
    HAS_ONE_CIRCLE_OF_PACKAGES.check(CORE);
    assertViolated(
        HAS_ONE_CIRCLE_OF_PACKAGES, UsesLayer.class, org.winnow.layer.Linear.class, Tensor.class);
  }

  @Test
  void presetsAreForTheBindingOnly() {
    PRESETS_ARE_FOR_THE_BINDING.check(CORE);
  }

  @Test
  void testsOnEveryBackendAreContractTests() {
    RUNS_ON_EVERY_BACKEND.check(
        new ClassFileImporter()
            .withImportOption(location -> !location.contains("CoreRulesTest"))
            .importPackages("org.winnow"));
    assertViolated(RUNS_ON_EVERY_BACKEND, UntaggedTest.class, BackendsUnderTest.class);
  }

  @Test
  void isSilent() {
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CORE);
    NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.check(CORE);
    assertViolated(NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS, Prints.class);
  }

  private static void assertViolated(ArchRule rule, Class<?>... violators) {
    assertThat(rule.evaluate(new ClassFileImporter().importClasses(violators)).hasViolation())
        .as(violators[0] + " breaks: " + rule)
        .isTrue();
  }

  private static DescribedPredicate<JavaClass> dependOn(Class<?> target) {
    return DescribedPredicate.describe(
        "depend on " + target.getSimpleName(),
        from ->
            from.getDirectDependenciesFromSelf().stream()
                .anyMatch(dependency -> dependency.getTargetClass().isEquivalentTo(target)));
  }

  /**
   * Supertypes, public and protected fields, and the signatures of public and protected methods and
   * constructors.
   */
  private static ArchCondition<JavaClass> showOnlyTypesOutside(String packageIdentifier) {
    return new ArchCondition<>("show only types outside " + packageIdentifier) {
      @Override
      public void check(JavaClass shown, ConditionEvents events) {
        Stream<JavaClass> parents =
            Stream.concat(shown.getRawSuperclass().stream(), shown.getRawInterfaces().stream());
        Stream<JavaClass> fields =
            shown.getFields().stream()
                .filter(field -> isVisible(field.getModifiers()))
                .map(JavaField::getRawType);
        Stream<JavaClass> signatures =
            shown.getCodeUnits().stream()
                .filter(unit -> isVisible(unit.getModifiers()))
                .flatMap(CoreRulesTest::signature);
        Stream.of(parents, fields, signatures)
            .flatMap(types -> types)
            .filter(resideInAPackage(packageIdentifier))
            .forEach(
                type ->
                    events.add(
                        SimpleConditionEvent.violated(
                            shown, shown.getName() + " shows " + type.getName())));
      }
    };
  }

  private static boolean isVisible(Set<JavaModifier> modifiers) {
    return modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED);
  }

  private static Stream<JavaClass> signature(JavaCodeUnit unit) {
    return Stream.concat(Stream.of(unit.getRawReturnType()), unit.getRawParameterTypes().stream());
  }

  public static final class ReturnsPointer {
    public Pointer pointer() {
      return null;
    }
  }

  public static final class TakesPointer {
    protected TakesPointer(Pointer pointer) {}
  }

  public static final class HoldsPointer {
    public Pointer pointer;
  }

  public static final class IsPointer extends Pointer {
    private static final long serialVersionUID = 1L;
  }

  public static final class ShowsKernels {
    public org.winnow.internal.Kernels kernels() {
      return null;
    }
  }

  static final class UsesLayer {
    org.winnow.layer.Linear linear;
  }

  static final class UntaggedTest {
    Backend backend() {
      return BackendsUnderTest.shared();
    }
  }

  static final class Prints {
    void print() {
      System.out.println();
    }
  }
}
