package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.layer.Linear;
import org.winnow.memory.SyntheticExperts.Layout;
import org.winnow.moe.MoeLayer;
import org.winnow.op.TopKRouter;

/**
 * The weights of experts that no token chose are never loaded: their bytes may be NaN, and reading
 * them may fail, without any effect on the output.
 */
class NeverLoadedTest {
  private static final int NUM_EXPERTS = 12;
  private static final int HIDDEN_SIZE = 48;
  private static final int NUM_TOKENS = 3;

  @TempDir Path folder;

  /** Runs one layer over the file; the output's bits. */
  private static int[] output(
      SyntheticExperts experts, RangeReader.Opener opener, int numSlots, Set<Integer> chosen) {
    Random random = new Random(5);
    float[] hiddenValues = new float[NUM_TOKENS * HIDDEN_SIZE];
    float[] routerValues = new float[NUM_EXPERTS * HIDDEN_SIZE];
    for (int i = 0; i < hiddenValues.length; i++) hiddenValues[i] = (float) random.nextGaussian();
    for (int i = 0; i < routerValues.length; i++) routerValues[i] = (float) random.nextGaussian();
    try (Backend backend = new CpuBackend();
        Tensor hidden = Tensor.of(hiddenValues, NUM_TOKENS, HIDDEN_SIZE);
        Tensor output = Tensor.f32(NUM_TOKENS, HIDDEN_SIZE).fill(Float.NaN);
        Tensor routerWeight = Tensor.of(routerValues, NUM_EXPERTS, HIDDEN_SIZE);
        Linear router = new Linear(routerWeight, null);
        Checkpoint checkpoint = new Checkpoint(experts.tensors(), opener)) {
      ExpertStore store = experts.store(checkpoint);
      try (ExpertCache cache =
              new ExpertCache(store, numSlots * store.slotBytes(), EvictionPolicy.lru());
          MoeLayer layer =
              MoeLayer.builder(router, TopKRouter.softmax(2).build(), cache.layer(1)).build()) {
        layer.forward(backend, hidden, output);
        for (int i = 0; i < layer.routing().numRows(); i++)
          chosen.add(layer.routing().expertIds().getInt(i));
        ExpertCounters counters = cache.counters();
        assertThat(counters.distinctExperts()).isEqualTo(chosen.size());
        assertThat(counters.misses()).isEqualTo(chosen.size());
        assertThat(counters.demandBytesRead())
            .isEqualTo(chosen.stream().mapToLong(e -> store.readBytes(1, e)).sum());
      }
      float[] values = output.toFloatArray();
      int[] bits = new int[values.length];
      for (int i = 0; i < bits.length; i++) bits[i] = Float.floatToRawIntBits(values[i]);
      for (float value : values) assertThat(value).isFinite();
      return bits;
    }
  }

  private interface Range {
    void accept(long begin, long end) throws IOException;
  }

  /** Calls back for every byte range of an expert of layer 1. */
  private static void ranges(SyntheticExperts experts, int expert, Range range) throws IOException {
    for (TensorInfo tensor : experts.tensors()) {
      boolean separate = experts.layout == Layout.SEPARATE;
      if (!tensor.name().startsWith(separate ? "layers.1." + expert + "." : "layers.1.")) continue;
      long size = separate ? tensor.sizeBytes() : tensor.sizeBytes() / NUM_EXPERTS;
      long begin = separate ? tensor.offset() : tensor.offset() + expert * size;
      range.accept(begin, begin + size);
    }
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void unchosenExpertsMayBeNaNOrUnreadable(Layout layout) throws IOException {
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("weights"), layout, DType.BF16, 2, NUM_EXPERTS, HIDDEN_SIZE, 40, 104);
    Set<Integer> chosen = new TreeSet<>();
    int[] clean = output(experts, RangeReader.direct(), NUM_EXPERTS, chosen);
    assertThat(chosen).hasSizeBetween(3, 6);

    FaultyReaders failing = new FaultyReaders();
    for (int expert = 0; expert < NUM_EXPERTS; expert++) {
      if (!chosen.contains(expert)) ranges(experts, expert, failing::poison);
    }
    for (TensorInfo tensor : experts.tensors()) {
      if (tensor.name().startsWith("layers.0."))
        failing.poison(tensor.offset(), tensor.offset() + tensor.sizeBytes());
    }
    for (int numSlots : new int[] {1, 2, NUM_EXPERTS}) {
      assertThat(output(experts, failing, numSlots, new TreeSet<>())).isEqualTo(clean);
    }

    try (RandomAccessFile file = new RandomAccessFile(experts.file.toFile(), "rw")) {
      for (int expert = 0; expert < NUM_EXPERTS; expert++) {
        if (!chosen.contains(expert))
          ranges(experts, expert, (begin, end) -> fillWithNaN(file, begin, end));
      }
    }
    assertThat(output(experts, RangeReader.direct(), NUM_EXPERTS, new TreeSet<>()))
        .isEqualTo(clean);
    assertThat(output(experts, RangeReader.direct(), 2, new TreeSet<>())).isEqualTo(clean);
  }

  /** The check above can fail: the same poison on a chosen expert is seen. */
  @Test
  void aChosenExpertIsRead() throws IOException {
    SyntheticExperts experts =
        new SyntheticExperts(
            folder.resolve("weights"),
            Layout.SEPARATE,
            DType.BF16,
            2,
            NUM_EXPERTS,
            HIDDEN_SIZE,
            40,
            104);
    Set<Integer> chosen = new TreeSet<>();
    output(experts, RangeReader.direct(), NUM_EXPERTS, chosen);
    int victim = chosen.iterator().next();
    FaultyReaders failing = new FaultyReaders();
    ranges(experts, victim, failing::poison);
    assertThatThrownBy(() -> output(experts, failing, NUM_EXPERTS, new TreeSet<>()))
        .isInstanceOf(ExpertReadException.class)
        .hasMessageContaining("layer 1, expert " + victim);
    try (RandomAccessFile file = new RandomAccessFile(experts.file.toFile(), "rw")) {
      ranges(experts, victim, (begin, end) -> fillWithNaN(file, begin, end));
    }
    assertThatThrownBy(() -> output(experts, RangeReader.direct(), NUM_EXPERTS, new TreeSet<>()))
        .isInstanceOf(AssertionError.class);
  }

  private static void fillWithNaN(RandomAccessFile file, long begin, long end) throws IOException {
    byte[] nan = new byte[(int) (end - begin)];
    Arrays.fill(nan, (byte) 0xff); // a NaN in every floating type
    file.seek(begin);
    file.write(nan);
  }
}
