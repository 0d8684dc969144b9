package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** Names and values of a damaged file may be long; a message stays short. */
class LongMessagesTest {
  private static final String LONG = "x".repeat(100_000);

  @Test
  void aCheckpointExceptionShortensWhatItNames() {
    CheckpointException e = new CheckpointException(Path.of("file"), LONG + "\n", LONG, LONG);

    String part = "x".repeat(200) + "...";
    assertThat(e).hasMessage("file: " + part + ": expected " + part + ", found " + part);
    assertThat(e.tensor()).isEqualTo(LONG + "\n");
    assertThat(e.found()).isEqualTo(LONG);
  }

  @Test
  void aMessageHasNoControlCharacters() {
    assertThat(new CheckpointException(Path.of("file"), "a\u001b[0m\nb", "c", "d"))
        .hasMessage("file: a?[0m b: expected c, found d");
  }

  @Test
  void whatIsBlankIsSeen() {
    assertThat(new CheckpointException(Path.of("file"), "version", "1.0", ""))
        .hasMessage("file: version: expected 1.0, found \"\"");
    assertThat(new CheckpointException(Path.of("file"), "dtype", "a type", " 16"))
        .hasMessage("file: dtype: expected a type, found \" 16\"");
  }

  @Test
  void anUnsupportedFormatIsNamedShortly() {
    assertThat(new UnsupportedFormatException(LONG)).hasMessage("x".repeat(800) + "...");
    assertThat(new UnsupportedFormatException("rope type y")).hasMessage("rope type y");
  }
}
