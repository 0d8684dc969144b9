package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.cpu.InstructionSet;
import org.winnow.internal.NativeCodes;
import org.winnow.op.Activation;
import org.winnow.op.TopKRouter;

/** All constants of Java's enums have the numbers and names of the contracts. */
class EnumCodesTest {
  static List<Arguments> enums() {
    return List.of(
        Arguments.of("DTYPE_", DType.values()),
        Arguments.of("KV_LAYOUT_", kvLayouts()),
        Arguments.of("ACTIVATION_", Activation.values()),
        Arguments.of("INSTRUCTION_SET_", InstructionSet.values()),
        Arguments.of("ROUTER_SCORE_", TopKRouter.Score.values()),
        Arguments.of("GROUP_SCORE_", TopKRouter.GroupScore.values()));
  }

  /** Not public. */
  private static Enum<?>[] kvLayouts() {
    try {
      return (Enum<?>[]) Class.forName("org.winnow.op.KvLayout").getEnumConstants();
    } catch (ClassNotFoundException e) {
      throw new AssertionError(e);
    }
  }

  @ParameterizedTest
  @MethodSource("enums")
  void areTheContracts(String prefix, Enum<?>[] constants) throws IllegalAccessException {
    List<String> expected = new ArrayList<>();
    for (Field field : NativeCodes.class.getFields()) {
      if (!field.getName().startsWith(prefix)) continue;
      String name = field.getName().substring(prefix.length());
      expected.add(field.getInt(null) + " " + name.toLowerCase(Locale.ROOT));
    }
    List<String> found = new ArrayList<>();
    for (Enum<?> constant : constants)
      found.add(constant.ordinal() + " " + constant.name().toLowerCase(Locale.ROOT));
    assertThat(found).containsExactlyInAnyOrderElementsOf(expected).isNotEmpty();
  }
}
