package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.CheckpointException;

/** Which text a configuration may be. */
class ModelConfigTextTest {
  @TempDir Path folder;

  /** Within limits that keep stack and time small. */
  @Test
  void whatNothingUsesIsNestedAndLongWithinLimits() throws IOException {
    write("[".repeat(500) + "]".repeat(500), "7".repeat(10_000));
    assertThat(ModelConfig.read(folder).modelType()).isEqualTo("llama");
    write("[".repeat(600) + "]".repeat(600), "7");
    refused("config.json: expected JSON, found Document nesting depth (513)");
    write("[]", "7".repeat(10_001));
    refused("config.json: expected JSON, found Number value length (10001)");
  }

  private void write(String nested, String number) throws IOException {
    Files.writeString(
        folder.resolve("config.json"),
        "{\"model_type\": \"llama\", \"a\": " + nested + ", \"b\": " + number + "}");
  }

  @ParameterizedTest
  @CsvSource({
    "Infinity, Infinity",
    "-Infinity, -Infinity",
    "NaN, NaN",
    "1e999, Infinity",
    "-1e999, -Infinity"
  })
  void refusesNumbersThatAreNotFiniteByTheNameOfTheirKey(String value, String found)
      throws IOException {
    for (String key : List.of("rms_norm_eps", "vocab_size", "num_hidden_layers", "rope_theta")) {
      Files.writeString(
          folder.resolve("config.json"),
          "{\"model_type\": \"llama\", \"" + key + "\": " + value + "}");
      assertThatThrownBy(() -> ModelConfig.read(folder))
          .isInstanceOf(CheckpointException.class)
          .hasMessageContaining("config.json: " + key + ": expected ")
          .hasMessageEndingWith(", found " + found);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"INF", "-INF", "+Infinity", "+INF", "nan", "infinity", "-NaN"})
  void refusesNumbersThatPythonDoesNotRead(String value) throws IOException {
    Files.writeString(
        folder.resolve("config.json"), "{\"model_type\": \"llama\", \"a\": " + value + "}");
    refused("config.json: expected ");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "[]", "{", "{}{}", "null", "{\"model_type\": 'a'}"})
  void refusesWhatIsNoObject(String text) throws IOException {
    Files.writeString(folder.resolve("config.json"), text);
    refused("config.json: expected ");
  }

  @Test
  void refusesFilesOfAbsurdSize() throws IOException {
    Files.writeString(folder.resolve("config.json"), " ".repeat((int) Json.MAX_TREE_BYTES + 1));
    refused("config.json: expected at most 4194304 bytes, found 4194305 bytes");
  }

  private void refused(String message) {
    assertThatThrownBy(() -> ModelConfig.read(folder))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(message);
  }
}
