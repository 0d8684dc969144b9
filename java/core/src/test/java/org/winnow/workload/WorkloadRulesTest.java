package org.winnow.workload;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import org.junit.jupiter.api.Test;
import org.winnow.internal.NativeCall;

/** Workloads are users of the library as any other. */
class WorkloadRulesTest {
  private static final JavaClasses CORE =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("org.winnow");

  private static final ArchRule USE_THE_PUBLIC_API =
      noClasses()
          .that()
          .resideInAPackage("org.winnow.workload..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.winnow.internal..", "org.winnow.presets..", "org.bytedeco..");

  private static final ArchRule ARE_NOT_USED_TO_RUN_MODELS =
      noClasses()
          .that(resideOutsideOfPackage("org.winnow.workload.."))
          .should()
          .dependOnClassesThat(resideInAPackage("org.winnow.workload.."));

  @Test
  void workloadsUseThePublicApiOnly() {
    USE_THE_PUBLIC_API.check(CORE);
    assertThat(
            USE_THE_PUBLIC_API
                .evaluate(new ClassFileImporter().importClasses(LooksBehind.class))
                .hasViolation())
        .isTrue();
  }

  @Test
  void nothingElseInCoreUsesThem() {
    assertThat(CORE.contain(Workload.class)).isTrue();
    ARE_NOT_USED_TO_RUN_MODELS.check(CORE);
  }

  static final class LooksBehind {
    Object call() {
      return NativeCall.enter();
    }
  }
}
