package org.winnow.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class Utf8ReaderTest {
  private static String read(byte[] bytes, int step, long maxBytes) throws IOException {
    InputStream short1 = // gives a few bytes per call, as a pipe does
        new ByteArrayInputStream(bytes) {
          @Override
          public synchronized int read(byte[] target, int offset, int length) {
            return super.read(target, offset, Math.min(length, step));
          }
        };
    StringWriter text = new StringWriter();
    try (Utf8Reader reader = new Utf8Reader("x", short1, maxBytes)) {
      char[] buffer = new char[2];
      for (int count; (count = reader.read(buffer)) >= 0; ) text.write(buffer, 0, count);
    }
    return text.toString();
  }

  @Test
  void readsCharactersThatComeInParts() throws IOException {
    String text = "a\u00e9\u4f60\ud83d\ude42\n\uFEFFb";
    for (int step = 1; step < 6; step++) {
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      assertThat(read(bytes, step, bytes.length)).isEqualTo(text);
      byte[] marked = ("\uFEFF" + text).getBytes(StandardCharsets.UTF_8);
      assertThat(read(marked, step, marked.length)).isEqualTo(text);
    }
    assertThat(read(new byte[0], 1, 0)).isEmpty();
  }

  @Test
  void refusesOtherBytesAndTooMany() {
    byte[] bytes = {'a', 'b', (byte) 0xe4, (byte) 0xbd, 'c'};
    assertThatThrownBy(() -> read(bytes, 1, 9))
        .isInstanceOf(CommandException.class)
        .hasMessage("x: expected UTF-8 text, found byte 0xe4 at offset 2");
    assertThatThrownBy(() -> read(new byte[] {'a', (byte) 0xf0}, 2, 9))
        .isInstanceOf(CommandException.class)
        .hasMessage("x: expected UTF-8 text, found byte 0xf0 at offset 1");
    assertThatThrownBy(() -> read(new byte[3], 1, 2))
        .isInstanceOf(CommandException.class)
        .hasMessageStartingWith("x: expected at most 2");
  }
}
