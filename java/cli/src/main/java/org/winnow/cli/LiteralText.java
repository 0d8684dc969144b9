package org.winnow.cli;

import java.util.Map;
import java.util.Stack;
import picocli.CommandLine.IParameterPreprocessor;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;

/**
 * Makes the value of an option text whatever it begins with. Otherwise picocli refuses a value that
 * is the name of an option.
 */
final class LiteralText {
  private static final String MARK = "\0"; // no argument of a process can hold it

  private LiteralText() {}

  /** Marks a value that begins like an option. */
  static final class Preprocessor implements IParameterPreprocessor {
    @Override
    public boolean preprocess(
        Stack<String> arguments, CommandSpec command, ArgSpec option, Map<String, Object> state) {
      if (!arguments.isEmpty() && arguments.peek().startsWith("-"))
        arguments.push(MARK + arguments.pop());
      return false; // picocli goes on
    }
  }

  /** Removes the mark. */
  static final class Converter implements ITypeConverter<String> {
    @Override
    public String convert(String value) {
      return value.startsWith(MARK) ? value.substring(MARK.length()) : value;
    }
  }
}
