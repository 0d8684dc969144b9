package org.winnow.cli;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import org.junit.jupiter.api.Test;

/**
 * The layers of the project. The command line uses models; models and the CUDA backend use core;
 * nothing depends on the CUDA backend. Only the CUDA backend uses core's internal packages.
 */
class FloorsTest {
  private static final JavaClasses WINNOW =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .withImportOption(location -> !location.contains("-tests.jar"))
          .importPackages("org.winnow");

  private static final DescribedPredicate<JavaClass> UPPER_FLOORS =
      resideInAnyPackage("org.winnow.models..", "org.winnow.cli..", "org.winnow.cuda..");
  private static final DescribedPredicate<JavaClass> CORE =
      resideInAPackage("org.winnow..").and(DescribedPredicate.not(UPPER_FLOORS));

  private static final ArchRule CORE_USES_NO_UPPER_FLOOR =
      noClasses().that(CORE).should().dependOnClassesThat(UPPER_FLOORS);
  private static final ArchRule MODELS_USE_NO_COMMAND_LINE =
      noClasses()
          .that()
          .resideInAPackage("org.winnow.models..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.winnow.cli..", "picocli..");
  private static final DescribedPredicate<JavaClass> CUDA = resideInAPackage("org.winnow.cuda..");
  private static final ArchRule NOBODY_USES_CUDA =
      noClasses()
          .that(DescribedPredicate.not(CUDA))
          .should()
          .dependOnClassesThat(resideInAnyPackage("org.winnow.cuda..", "org.bytedeco.cuda.."));
  private static final ArchRule CUDA_USES_CORE_ONLY =
      noClasses()
          .that(CUDA)
          .should()
          .dependOnClassesThat(UPPER_FLOORS.and(DescribedPredicate.not(CUDA)));
  private static final ArchRule NOBODY_LOOKS_BEHIND_CORE =
      noClasses()
          .that(UPPER_FLOORS.and(DescribedPredicate.not(CUDA)))
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.winnow.internal..", "org.winnow.presets..", "org.bytedeco..");

  @Test
  void everyFloorIsLookedAt() {
    for (String name :
        new String[] {
          "org.winnow.Tensor",
          "org.winnow.internal.NativeLoader",
          "org.winnow.cuda.CudaBackend",
          "org.winnow.cli.Main"
        }) {
      assertThat(WINNOW.contain(name)).as(name).isTrue();
    }
  }

  @Test
  void coreUsesNoUpperFloor() {
    CORE_USES_NO_UPPER_FLOOR.check(WINNOW);
  }

  @Test
  void modelsUseNoCommandLine() {
    MODELS_USE_NO_COMMAND_LINE.allowEmptyShould(true).check(WINNOW);
  }

  @Test
  void nobodyUsesCuda() {
    NOBODY_USES_CUDA.check(WINNOW);
    assertThat(
            NOBODY_USES_CUDA
                .evaluate(new ClassFileImporter().importClasses(UsesCuda.class))
                .hasViolation())
        .isTrue();
  }

  @Test
  void cudaUsesCoreOnly() {
    CUDA_USES_CORE_ONLY.check(WINNOW);
  }

  @Test
  void nobodyLooksBehindCore() {
    NOBODY_LOOKS_BEHIND_CORE.check(WINNOW);
    assertThat(
            NOBODY_LOOKS_BEHIND_CORE
                .evaluate(new ClassFileImporter().importClasses(LooksBehindCore.class))
                .hasViolation())
        .isTrue();
  }

  @Test
  void modelsAreSilent() {
    JavaClasses models = WINNOW.that(resideInAPackage("org.winnow.models.."));
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.allowEmptyShould(true).check(models);
    NO_CLASSES_SHOULD_USE_JAVA_UTIL_LOGGING.allowEmptyShould(true).check(models);
  }

  static final class UsesCuda {
    Object provider() {
      return new org.winnow.cuda.CudaBackendProvider();
    }
  }

  static final class LooksBehindCore {
    Object call() {
      return org.winnow.internal.NativeCall.enter();
    }
  }
}
