package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.winnow.memory.ExpertRole.DOWN;
import static org.winnow.memory.ExpertRole.DOWN_BIAS;
import static org.winnow.memory.ExpertRole.GATE;
import static org.winnow.memory.ExpertRole.UP;
import static org.winnow.memory.ExpertRole.UP_BIAS;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import org.assertj.core.api.AbstractThrowableAssert;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.UnsupportedFormatException;
import org.winnow.WeightFormat;

/** What a store says of its layers, and what it refuses: tensor, expected and found by name. */
class ExpertStoreTest {
  private static final int D = 6;
  private static final int F = 4;

  @TempDir Path folder;
  private TensorFile file;
  private Checkpoint checkpoint;

  @BeforeEach
  void write() throws IOException {
    file = new TensorFile(folder.resolve("weights"), 64);
    for (DType type : new DType[] {DType.F32, DType.BF16, DType.I8}) {
      file.add("inner." + type, type, new byte[F * D * type.sizeBytes()], F, D);
      file.add("hidden." + type, type, new byte[F * D * type.sizeBytes()], D, F);
    }
    file.add("bias", DType.F32, new byte[4 * F], F);
    file.add("fp8", "F8_E5M2", null, new byte[F * D], F, D);
    checkpoint = new Checkpoint(file.tensors());
  }

  @AfterEach
  void close() throws IOException {
    checkpoint.close();
    file.close();
  }

  private static List<ExpertSource> sources(String gate, String up, String down) {
    List<ExpertSource> sources = new ArrayList<>(List.of(ExpertSource.of(GATE, gate)));
    if (up != null) sources.add(ExpertSource.of(UP, up));
    sources.add(ExpertSource.of(DOWN, down));
    return sources;
  }

  private AbstractThrowableAssert<?, ?> assertRefuses(
      int numExperts, IntFunction<List<ExpertSource>> sources) {
    return assertThatThrownBy(
        () -> ExpertStore.builder(checkpoint, D, F).addLayer(numExperts, sources).build());
  }

  private String at(String message) {
    return file.path + ": " + message;
  }

  @Test
  void aFormatBelongsToAPartOfALayer() {
    ExpertStore store =
        ExpertStore.builder(checkpoint, D, F)
            .addLayer(2, e -> sources("inner.f32", "inner.f32", "hidden.bf16"))
            .addLayer(1, e -> sources("inner.bf16", null, "hidden.bf16"))
            .build();
    assertThat(store.format(0, GATE)).isEqualTo(WeightFormat.F32);
    assertThat(store.format(0, UP)).isEqualTo(WeightFormat.F32);
    assertThat(store.format(0, DOWN)).isEqualTo(WeightFormat.BF16);
    assertThat(store.format(1, GATE)).isEqualTo(WeightFormat.BF16);
    assertThat(store.has(0, UP)).isTrue();
    assertThat(store.has(1, UP)).isFalse();
    assertThat(store.has(0, DOWN_BIAS)).isFalse();
    assertThat(store.storedBytes(0, 1)).isEqualTo(F * D * (4 + 4 + 2));
    assertThat(store.storedBytes(1, 0)).isEqualTo(F * D * (2 + 2));
    assertThat(store.slotBytes())
        .isEqualTo(Math.max(store.layout(0, 0).slotBytes(), store.layout(1, 0).slotBytes()));
    assertThat(DeviceExpertArena.slotBytes(store)).isEqualTo(3 * 256);
    assertThatThrownBy(() -> store.format(1, UP))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("experts of layer 1 have no UP");
    assertThatThrownBy(() -> store.format(2, UP)).isInstanceOf(IndexOutOfBoundsException.class);
  }

  @Test
  void gateAndUpOfALayerHaveOneFormat() {
    assertRefuses(1, e -> sources("inner.f32", "inner.bf16", "hidden.f32"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(at("inner.bf16: expected format f32, as the gate has, found bf16"));
    assertRefuses(
            1,
            e ->
                List.of(
                    ExpertSource.of(UP, "inner.f32"),
                    ExpertSource.of(DOWN, "hidden.f32"),
                    ExpertSource.of(GATE, "inner.bf16")))
        .hasMessage(at("inner.bf16: expected format f32, as up has, found bf16"));
    assertRefuses(
            1,
            e ->
                List.of(ExpertSource.of(GATE, "inner.bf16").format(WeightFormat.F32).columns(1, 2)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("rows must be whole and follow each other to become f32");
  }

  @Test
  void theExpertsOfALayerAreAlike() {
    assertRefuses(2, e -> sources("inner.f32", "inner.f32", e == 0 ? "hidden.f32" : "hidden.bf16"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            at("hidden.bf16: expected format f32, as the layer's other experts have, found bf16"));
    assertRefuses(2, e -> sources("inner.f32", e == 0 ? "inner.f32" : null, "hidden.f32"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("layer 0, expert 1 must have [GATE, UP, DOWN], as others, found [GATE, DOWN]");
  }

  @Test
  void namesTheTensorThatDoesNotFit() {
    assertRefuses(1, e -> sources("absent", null, "hidden.f32"))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("absent");
    assertRefuses(1, e -> sources("inner.f32", null, "inner.f32"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(at("inner.f32: expected shape [6, 4], found [4, 6]"));
    assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "inner.f32").rowPart(1, 2).expert(0, 3)))
        .hasMessage(at("inner.f32: expected shape [3, 8, 6], found [4, 6]"));
    assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "inner.f32").columns(1, 2).transposed()))
        .hasMessage(at("inner.f32: expected shape [6, 8], found [4, 6]"));
    assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "inner.f32").rows(1, Integer.MAX_VALUE)))
        .isInstanceOf(CheckpointException.class);
    assertRefuses(1, e -> sources("inner.i8", null, "hidden.f32"))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(at("inner.i8: expected type f32, bf16 or f16, found I8"));
    assertRefuses(1, e -> sources("fp8", null, "hidden.f32"))
        .isInstanceOf(UnsupportedFormatException.class)
        .hasMessage(at("fp8: type F8_E5M2 is not supported yet"));
    assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "inner.i8").format(WeightFormat.BF16)))
        .isInstanceOf(CheckpointException.class)
        .hasMessage(at("inner.i8: expected type bf16, found I8"));
  }

  @Test
  void refusesSourcesThatAreNotAnExpert() {
    assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "inner.f32")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("layer 0, expert 0 must have DOWN, found [GATE]");
    assertRefuses(1, e -> List.of(ExpertSource.of(DOWN, "hidden.f32")))
        .hasMessage("layer 0, expert 0 must have GATE, found [DOWN]");
    List<ExpertSource> ungated = sources("inner.f32", null, "hidden.f32");
    ungated.add(ExpertSource.of(UP_BIAS, "bias"));
    assertRefuses(1, e -> ungated)
        .hasMessage("layer 0, expert 0 must have UP for UP_BIAS, found [GATE, DOWN, UP_BIAS]");
    assertRefuses(
            1,
            e -> List.of(ExpertSource.of(GATE, "inner.f32"), ExpertSource.of(GATE, "inner.bf16")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "layer 0, expert 0: sources must be 1 for GATE, found 2: inner.f32 and inner.bf16");
    assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "bias").plane(1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("layer 0, expert 0 must have plane 0 of GATE, found GATE plane 1 of bias");
    assertRefuses(
            1,
            e ->
                List.of(ExpertSource.of(GATE, "inner.f32"), ExpertSource.of(GATE, "bias").plane(1)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("layer 0, expert 0: planes must be 1 for f32, found GATE plane 1 of bias");
    assertRefuses(1, e -> List.of(ExpertSource.of(UP_BIAS, "bias").transposed()))
        .hasMessage(
            "layer 0, expert 0: UP_BIAS of bias must have no format of its own and rows only");
    assertRefuses(0, e -> List.of()).hasMessage("numExperts must be at least 1, found 0");
  }

  /** Of every format that stores bytes beside row scales. */
  @Test
  void aFormatOfTwoPlanesNeedsBoth() {
    for (WeightFormat format : WeightFormat.values()) {
      if (format.planes() == 1) continue;
      ExpertSource gate = ExpertSource.of(GATE, "inner.i8").format(format);
      ExpertSource scale = ExpertSource.of(GATE, "bias").plane(1);
      ExpertSource down = ExpertSource.of(DOWN, "hidden.f32");
      assertRefuses(1, e -> List.of(gate, down))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage(
              "layer 0, expert 0 must have 2 planes of GATE in " + format + ", found no plane 1");
      assertRefuses(1, e -> List.of(ExpertSource.of(GATE, "inner.f32").format(format), scale, down))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(
              at("inner.f32: expected a type of one byte, for the bytes of " + format)
                  + ", found F32");
      ExpertStore store =
          ExpertStore.builder(checkpoint, D, F)
              .addLayer(1, e -> List.of(gate, scale, down))
              .build();
      assertThat(store.format(0, GATE)).isEqualTo(format);
      assertThat(store.storedBytes(0, 0))
          .isEqualTo(format.sizeBytes(F, D) + WeightFormat.F32.sizeBytes(D, F));
    }
  }
}
