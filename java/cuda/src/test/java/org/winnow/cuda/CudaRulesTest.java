package org.winnow.cuda;

import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** What the CUDA backend may use. */
@WithoutDevice
class CudaRulesTest {
  private static final JavaClasses CUDA =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages("org.winnow.cuda");

  @Test
  void usesCoreJavaCppAndTheDriver() {
    classes()
        .should()
        .onlyDependOnClassesThat(
            resideInAnyPackage(
                "org.winnow..",
                "org.bytedeco.javacpp..",
                "org.bytedeco.cuda.cudart..",
                "org.bytedeco.cuda.global..",
                "java..",
                "org.jspecify.annotations.."))
        .check(CUDA);
    noClasses()
        .should()
        .dependOnClassesThat(resideInAnyPackage("org.winnow.models..", "org.winnow.cli.."))
        .check(CUDA);
  }

  /** The runtime API needs more of a driver than the stand-in is. */
  @Test
  void callsTheDriverOnly() {
    noClasses()
        .should()
        .callMethodWhere(
            com.tngtech.archunit.core.domain.JavaCall.Predicates.target(
                com.tngtech.archunit.core.domain.properties.HasName.Predicates.nameMatching(
                    "cuda[A-Z].*")))
        .check(CUDA);
  }

  @Test
  void isSilent() {
    NO_CLASSES_SHOULD_ACCESS_STANDARD_STREAMS.check(CUDA);
  }
}
