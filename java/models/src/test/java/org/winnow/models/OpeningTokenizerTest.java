package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.CheckpointException;

/** A tokenizer is opened beside the weights: the same results and the same faults as after them. */
class OpeningTokenizerTest {
  @TempDir Path folder;

  @BeforeEach
  void copyModel() throws IOException {
    for (String file : List.of("config.json", "tokenizer.json", "tokenizer_config.json"))
      Files.copy(Goldens.kjvMoe().resolve(file), folder.resolve(file));
    Path weights = Goldens.kjvMoe().resolve("model.safetensors").toAbsolutePath();
    Files.createSymbolicLink(folder.resolve("model.safetensors"), weights);
  }

  private static List<String> threads() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(Thread::isAlive)
        .map(Thread::getName)
        .filter("winnow-tokenizer"::equals)
        .toList();
  }

  @RepeatedTest(3)
  void aFaultOfTheTokenizerComesBeforeOneOfTheModel() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": 3}");
    Files.writeString(folder.resolve("config.json"), "[]");
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tokenizer.json");
    assertThat(threads()).isEmpty();
  }

  @RepeatedTest(3)
  void aFaultOfTheModelIsThrownWhenTheTokenizerIsWhole() throws IOException {
    Files.writeString(folder.resolve("config.json"), "[]");
    assertThatThrownBy(() -> LanguageModel.open(folder, LoadOptions.defaults()))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("config.json");
    assertThat(threads()).isEmpty();
  }

  @Test
  void aFaultOfTheTokenizerEndsTheReadingOfWeights() throws Exception {
    Files.writeString(folder.resolve("tokenizer.json"), "{");
    List<Long> read = new ArrayList<>();
    LoadProgress untilTheFault =
        (readBytes, totalBytes) -> {
          read.add(readBytes);
          while (!threads().isEmpty()) Thread.onSpinWait(); // it has ended before the next weight
        };
    LoadOptions options = LoadOptions.defaults().withProgress(untilTheFault);
    assertThatThrownBy(() -> LanguageModel.open(folder, options))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tokenizer.json");
    assertThat(read).hasSizeLessThanOrEqualTo(1);
  }

  @Test
  void anInterruptLeavesItWhole() {
    Thread.currentThread().interrupt();
    try (OpeningTokenizer opening = new OpeningTokenizer(folder)) {
      Tokenizer tokenizer = opening.opened();
      assertThat(Thread.interrupted()).isTrue();
      assertThat(tokenizer).isNotNull();
      assertThat(tokenizer.encode("And", false)).isNotEmpty();
    }
  }

  @Test
  void itIsClosedUnlessHandedOver() {
    Tokenizer closed;
    try (OpeningTokenizer opening = new OpeningTokenizer(folder)) {
      closed = opening.opened();
    }
    assertThatThrownBy(() -> closed.encode("And", false)).isInstanceOf(IllegalStateException.class);
    Tokenizer kept;
    try (OpeningTokenizer opening = new OpeningTokenizer(folder)) {
      kept = opening.opened();
      opening.handOver();
    }
    try (kept) {
      assertThat(kept.encode("And", false)).isNotEmpty();
    }
  }

  @Test
  void aFolderWithoutOneHasNone() throws IOException {
    Files.delete(folder.resolve("tokenizer.json"));
    try (OpeningTokenizer opening = new OpeningTokenizer(folder)) {
      assertThat(opening.opened()).isNull();
    }
    assertThat(threads()).isEmpty();
  }
}
