package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LoadProgressTest {
  @Test
  void everyWeightButTheExpertsIsCountedOnce() {
    List<Long> read = new ArrayList<>();
    LoadOptions options =
        LoadOptions.defaults()
            .withProgress(
                (readBytes, totalBytes) -> {
                  assertThat(readBytes).isBetween(1L, totalBytes);
                  read.add(readBytes);
                  if (readBytes == totalBytes) read.add(-1L);
                });
    try (LanguageModel model = LanguageModel.open(Goldens.kjvMoe(), options)) {
      assertThat(read.get(read.size() - 1)).as("the last call has the total").isEqualTo(-1);
      assertThat(read.subList(0, read.size() - 1)).isSorted().doesNotHaveDuplicates();
      assertThat(read.get(read.size() - 2))
          .as("stored as bf16, vectors held as f32")
          .isBetween(model.residentWeightBytes() / 2, model.residentWeightBytes());
    }
  }

  @Test
  void itsExceptionEndsTheOpening() {
    LoadOptions options =
        LoadOptions.defaults()
            .withProgress(
                (readBytes, totalBytes) -> {
                  throw new IllegalStateException("enough");
                });
    assertThatThrownBy(() -> LanguageModel.open(Goldens.kjvMoe(), options))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("enough");
  }
}
