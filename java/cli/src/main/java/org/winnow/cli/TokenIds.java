package org.winnow.cli;

import java.util.Arrays;
import java.util.stream.Collectors;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Token ids on the command line: {@code 3,17,4}, as {@code --print-ids} prints them. */
record TokenIds(int[] values) {
  @Override
  public String toString() {
    return Arrays.stream(values).mapToObj(Integer::toString).collect(Collectors.joining(","));
  }

  /** Parses token ids for picocli. */
  static final class Converter implements ITypeConverter<TokenIds> {
    @Override
    public TokenIds convert(String text) {
      String[] words = text.strip().split("\\s*,\\s*", -1);
      int[] ids = new int[words.length];
      for (int i = 0; i < ids.length; i++) {
        if (!words[i].matches("[0-9]{1,9}"))
          throw new TypeConversionException(
              "token ids must be like 3,17,4, found '" + words[i] + "'");
        ids[i] = Integer.parseInt(words[i]);
      }
      return new TokenIds(ids);
    }
  }
}
