package org.winnow.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Executable;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BiPredicate;
import org.junit.jupiter.api.Test;
import org.winnow.Tensor;

/**
 * A method that takes or gives an address, or a buffer of a tensor's memory, says so, and stands in
 * {@link UnsafeMethods#ALL}.
 */
class UnsafeMethodsTest {
  private static final SourceApi SOURCES = new SourceApi(Path.of("src", "main", "java"));
  private static final List<ExportedApi.Member> MEMBERS = new ExportedApi(Tensor.class).members();

  @Test
  void thoseWithAnAddressAreTheList() {
    assertThat(membersThat(UnsafeMethodsTest::hasAddress))
        .isEqualTo(new TreeSet<>(UnsafeMethods.ALL));
  }

  @Test
  void thoseThatSayUnsafeAreTheList() {
    assertThat(
            membersThat(
                (member, said) -> said.javadoc().toLowerCase(Locale.ROOT).contains("unsafe")))
        .isEqualTo(new TreeSet<>(UnsafeMethods.ALL));
  }

  @Test
  void noBackendHasAKernel() {
    assertThat(MEMBERS)
        .filteredOn(member -> org.winnow.Backend.class.isAssignableFrom(member.owner()))
        .filteredOn(member -> !member.isConstructor())
        .map(member -> member.executable().getName())
        .containsOnly(
            "require",
            "best",
            "providers",
            "name",
            "description",
            "memory",
            "weightLayout",
            "allocate",
            "f32",
            "of",
            "copyOf",
            "capture",
            "canCapture",
            "close",
            "instructionSet",
            "numThreads");
  }

  @Test
  void noCacheGivesItsPageTablesAway() {
    assertThat(MEMBERS)
        .filteredOn(member -> member.owner().getSimpleName().equals("KvCache"))
        .filteredOn(member -> !member.isStatic() && !member.isConstructor())
        .noneMatch(member -> member.result() == Tensor.class);
  }

  private static boolean hasAddress(ExportedApi.Member member, SourceApi.Said said) {
    boolean takes = said.parameters().stream().anyMatch(UnsafeMethodsTest::isAddress);
    Executable executable = member.executable();
    boolean gives =
        executable instanceof Method method
            && method.getReturnType() == long.class
            && isAddress(method.getName());
    return takes || gives;
  }

  private static boolean isAddress(String name) {
    return name.toLowerCase(Locale.ROOT).contains("address");
  }

  private static Set<String> membersThat(BiPredicate<ExportedApi.Member, SourceApi.Said> holds) {
    Set<String> found = new TreeSet<>();
    for (ExportedApi.Member member : MEMBERS) {
      SourceApi.Said said = SOURCES.find(member.key());
      if (said != null && holds.test(member, said)) found.add(member.key());
    }
    return found;
  }
}
