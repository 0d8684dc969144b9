package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/** What counts where a configuration says something about rotary position encoding twice. */
class RopeReaderTest {
  private static final String YARN =
      "{\"rope_type\": \"yarn\", \"factor\": 4.0, \"original_max_position_embeddings\": 128";

  @TempDir Path folder;

  private ModelConfig read(String family, String keys) throws IOException {
    Files.writeString(
        folder.resolve("config.json"), "{\"model_type\": \"" + family + "\"" + keys + "}");
    return ModelConfig.read(folder);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        // keys | type | theta
        "~~ | default | 10000",
        "\"rope_theta\": 7 | default | 7",
        "\"rope_parameters\": {\"rope_theta\": 8} | default | 8",
        "\"rope_parameters\": {\"rope_theta\": 8}, \"rope_theta\": 7 | default | 8",
        "\"rope_parameters\": {\"rope_theta\": 8}, \"rope_theta\": null | default | 8",
        "\"rope_scaling\": YARN}, \"rope_theta\": 7 | yarn | 7",
        "\"rope_scaling\": YARN, \"rope_theta\": 9} | yarn | 9",
        "\"rope_scaling\": YARN, \"rope_theta\": 9}, \"rope_theta\": 7 | yarn | 9",
        "\"rope_scaling\": YARN}, \"rope_parameters\": {\"rope_type\": \"default\"} | yarn | 10000",
        "\"rope_scaling\": YARN}, \"rope_parameters\": {\"rope_theta\": 8}, \"rope_theta\": 7 | yarn | 7",
        "\"rope_scaling\": YARN}, \"rope_parameters\": {\"rope_theta\": 10000} | yarn | 10000",
        "\"rope_scaling\": null, \"rope_parameters\": YARN} | yarn | 10000",
        "\"rope_scaling\": {}, \"rope_parameters\": YARN} | yarn | 10000",
        "\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2} | linear | 10000"
      })
  void takesTypeAndThetaInThisOrder(String keys, String type, double theta) throws IOException {
    String all = keys.isEmpty() ? "" : ", " + keys.replace("YARN", YARN);
    ModelConfig.Rope rope = read("qwen3_moe", all).rope();
    assertThat(rope.type()).isEqualTo(type);
    assertThat(rope.theta()).isEqualTo(theta);
  }

  /** The library would take 10000 in silence; other code takes 8. */
  @Test
  void refusesAThetaThatWouldBeLost() {
    refused(
        ", \"rope_scaling\": " + YARN + "}, \"rope_parameters\": {\"rope_theta\": 8}",
        "rope_parameters.rope_theta: expected 10000.0, as rope_scaling takes the place");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '~',
      value = {
        // keys | context
        "\"max_position_embeddings\": 160, \"rope_parameters\": YARN} | 512",
        "\"max_position_embeddings\": 700, \"rope_parameters\": YARN} | 700",
        "\"max_position_embeddings\": 100, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4} | 400",
        "\"max_position_embeddings\": 100, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.5} | 250",
        "\"max_position_embeddings\": 100, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 0.5} | 100",
        "\"max_position_embeddings\": 100, \"rope_scaling\": {\"type\": \"linear\", \"factor\": 1e12} | 1073741824",
        "\"max_position_embeddings\": 100, \"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4} | 100",
        "\"max_position_embeddings\": 100 | 100"
      })
  void countsTheScaledContext(String keys, int context) throws IOException {
    assertThat(read("llama", ", " + keys.replace("YARN", YARN)).contextLength()).isEqualTo(context);
  }

  @Test
  void findsTheOriginalContext() throws IOException {
    String llama3 =
        "\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4";
    String most = ", \"max_position_embeddings\": 100";
    assertThat(
            read("llama", most + ", \"rope_parameters\": {" + llama3 + "}")
                .rope()
                .originalContextLength())
        .isEqualTo(100);
    String beside = most + ", \"original_max_position_embeddings\": 50";
    assertThat(
            read("llama", beside + ", \"rope_parameters\": {" + llama3 + "}")
                .rope()
                .originalContextLength())
        .isEqualTo(50);
    ModelConfig.Rope quotient =
        read("llama", beside + ", \"rope_parameters\": {\"rope_type\": \"yarn\"}").rope();
    assertThat(quotient.factor()).isEqualTo(2);
    refused(
        beside + ", \"rope_parameters\": " + YARN + "}",
        "rope_parameters.original_max_position_embeddings: expected 50");
    refused(
        most + ", \"rope_parameters\": {\"rope_type\": \"yarn\"}",
        "rope_parameters.factor: expected a number");
  }

  /** The class of gpt-oss extends a context of 4096 tokens where nothing is said. */
  @Test
  void gptOssHasARopeOfItsOwn() throws IOException {
    ModelConfig.Rope own =
        new ModelConfig.Rope(
            "yarn", 150_000, 32, 4096, null, null, 32.0, 1.0, false, null, null, null, 1);
    assertThat(read("gpt_oss", "").rope()).isEqualTo(own);
    assertThat(read("gpt_oss", ", \"rope_scaling\": null").rope()).isEqualTo(own);
    assertThat(read("gpt_oss", ", \"rope_parameters\": {}").rope().type()).isEqualTo("default");
    assertThat(read("gpt_oss", ", \"rope_scaling\": " + YARN + "}").rope().truncate()).isTrue();
  }

  @Test
  void readsRopesByLayerTypeWhereTheyAgree() throws IOException {
    String types =
        ", \"num_hidden_layers\": 2, \"layer_types\": [\"sliding_attention\", \"full_attention\"]";
    String same =
        ", \"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5}, \"sliding_attention\": {\"rope_theta\": 5}}";
    assertThat(read("gpt_oss", types + same).rope().theta()).isEqualTo(5);
    String other =
        ", \"rope_parameters\": {\"full_attention\": {\"rope_theta\": 5}, \"sliding_attention\": {\"rope_theta\": 6}}";
    ModelConfig config = read("gpt_oss", types + other);
    assertThatThrownBy(() -> Family.requireSupported(config))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining("config.json: rope_parameters.full_attention");
    // llama has no sliding layers, so the other rope is nobody's
    assertThat(read("llama", other).rope().theta()).isEqualTo(5);
    assertThatThrownBy(
            () -> read("gpt_oss", types + ", \"rope_parameters\": {\"full_attention\": {}}"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(
            "rope_parameters.sliding_attention: expected an object, as there are layers of this type");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2} | rope_scaling.rope_type \"dynamic\"",
        "\"rope_scaling\": {\"type\": \"longrope\"} | \"longrope\"",
        "\"rope_scaling\": {\"type\": \"mrope\", \"mrope_section\": [1, 2]} | rope_scaling.mrope_section",
        "\"rope_parameters\": {\"partial_rotary_factor\": 0.5} | rope_parameters.partial_rotary_factor 0.5",
        "\"partial_rotary_factor\": 0.25 | partial_rotary_factor 0.25",
        "\"rope_parameters\": {\"attn_factor\": 2} | rope_parameters.attn_factor 2"
      })
  void namesWhatIsNotComputed(String keys, String named) throws IOException {
    ModelConfig config = read("llama", ", " + keys);
    assertThatThrownBy(() -> Family.requireSupported(config))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessageContaining(named);
  }

  private void refused(String keys, String message) {
    assertThatThrownBy(() -> read("qwen3_moe", keys))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("config.json: " + message);
  }
}
