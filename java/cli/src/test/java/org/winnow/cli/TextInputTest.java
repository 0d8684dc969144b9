package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TextInputTest {
  @Test
  void textIsExactWithoutTheMarkAtItsBeginning() {
    for (String text : new String[] {"", "a\r\n\n", " é\uFEFF\u0000𝄞"})
      assertThat(TextInput.decode("file", text.getBytes(StandardCharsets.UTF_8))).isEqualTo(text);
    assertThat(TextInput.decode("file", "\uFEFFa".getBytes(StandardCharsets.UTF_8))).isEqualTo("a");
  }

  @ParameterizedTest
  @CsvSource({
    "ff41, ff, 0", // no byte of UTF-8
    "41ffFE, ff, 1",
    "fffe4100, ff, 0", // UTF-16
    "4142c3, c3, 2", // cut short
    "e282ac e282, e2, 3",
    "c0af, c0, 0", // longer than needed
    "41eda080, ed, 1", // half of a surrogate pair
    "f4908080, f4, 0" // beyond U+10FFFF
  })
  void otherBytesAreNamedWithTheirOffset(String hex, String found, int offset) {
    byte[] bytes = HexFormat.of().parseHex(hex.replace(" ", ""));
    assertThatThrownBy(() -> TextInput.decode("file", bytes))
        .isInstanceOf(CommandException.class)
        .hasMessage("file: expected UTF-8 text, found byte 0x" + found + " at offset " + offset);
  }
}
