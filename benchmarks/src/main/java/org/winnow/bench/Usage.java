package org.winnow.bench;

import java.util.Arrays;
import java.util.Locale;
import org.winnow.cpu.InstructionSet;

/**
 * What a main method takes. It ends the process with one line where the arguments are others.
 *
 * @param line the class and its arguments
 */
record Usage(String line) {
  /** Unless this holds. */
  void require(boolean holds) {
    if (holds) return;
    System.err.println("Usage: " + line);
    System.exit(2);
  }

  /** The argument there as a number from 1 on; {@code otherwise} if there is none. */
  int count(String[] arguments, int index, int otherwise) {
    if (index >= arguments.length) return otherwise;
    require(arguments[index].matches("[1-9][0-9]{0,8}"));
    return Integer.parseInt(arguments[index]);
  }

  /** The argument there, one of these words; {@code otherwise} if there is none. */
  String word(String[] arguments, int index, String otherwise, String... words) {
    if (index >= arguments.length) return otherwise;
    require(Arrays.asList(words).contains(arguments[index]));
    return arguments[index];
  }

  /** The word before the {@code @} of the argument there, one of these. */
  String type(String[] arguments, int index, String otherwise, String... words) {
    if (index >= arguments.length) return otherwise;
    String type = arguments[index].replaceFirst("@.*", "");
    return word(new String[] {type}, 0, otherwise, words);
  }

  /**
   * The instruction set after the {@code @} of the argument there; the best one if there is none.
   */
  InstructionSet instructionSet(String[] arguments, int index) {
    if (index >= arguments.length || !arguments[index].contains("@")) return InstructionSet.best();
    String name = arguments[index].replaceFirst(".*@", "").toUpperCase(Locale.ROOT);
    for (InstructionSet set : InstructionSet.values()) {
      if (set.name().equals(name) && set.isSupported()) return set;
    }
    require(false);
    throw new AssertionError();
  }
}
