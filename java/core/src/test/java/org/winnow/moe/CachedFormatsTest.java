package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.internal.Resources;
import org.winnow.layer.Linear;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.EvictionPolicy;
import org.winnow.memory.ExpertCache;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertSource;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.FaultyReaders;
import org.winnow.memory.RangeReader;
import org.winnow.memory.TensorFile;
import org.winnow.memory.TensorInfo;
import org.winnow.op.Activation;
import org.winnow.op.TopKRouter;
import org.winnow.op.WeightCodec;

/**
 * A store with a layer for every pair of formats, of gate and up and of down, every other one with
 * biases: layers over its cache compute the same bits as over the same matrices in memory, and read
 * what is chosen only.
 */
@ContractTest
class CachedFormatsTest {
  private static final int NUM_EXPERTS = 6;
  private static final int HIDDEN_SIZE = 48;
  private static final int INNER_SIZE = 40;
  private static final int NUM_TOKENS = 2;
  private static final int NUM_LAYERS = WeightFormat.values().length * WeightFormat.values().length;

  @TempDir Path folder;
  private final Backend backend = BackendsUnderTest.shared();
  private final Random random = new Random(9);
  private final Resources open = new Resources();
  private final List<ResidentExperts> resident = new ArrayList<>(); // by layer
  private final List<Linear> routers = new ArrayList<>();
  private TensorFile file;
  private Tensor hidden;
  private boolean gated;

  @AfterEach
  void close() {
    open.close();
  }

  private void write(boolean gated) throws IOException {
    this.gated = gated;
    file = new TensorFile(folder.resolve("weights"), 104);
    open.keep(() -> closeFile(file));
    hidden = open.keep(backend.of(values(NUM_TOKENS * HIDDEN_SIZE), NUM_TOKENS, HIDDEN_SIZE));
    for (int layer = 0; layer < NUM_LAYERS; layer++) {
      Tensor router =
          open.keep(backend.of(values(NUM_EXPERTS * HIDDEN_SIZE), NUM_EXPERTS, HIDDEN_SIZE));
      routers.add(open.keep(new Linear(router, null)));
      Matrix[] gate = matrices(layer, ExpertRole.GATE);
      Matrix[] up = gated ? matrices(layer, ExpertRole.UP) : null;
      Matrix[] down = matrices(layer, ExpertRole.DOWN);
      boolean biased = isBiased(layer);
      resident.add(
          open.keep(
              new ResidentExperts(
                  gate,
                  up,
                  down,
                  biased ? biases(layer, ExpertRole.GATE_BIAS, INNER_SIZE) : null,
                  biased && gated ? biases(layer, ExpertRole.UP_BIAS, INNER_SIZE) : null,
                  biased ? biases(layer, ExpertRole.DOWN_BIAS, HIDDEN_SIZE) : null)));
    }
  }

  private static void closeFile(TensorFile file) {
    try {
      file.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static boolean isBiased(int layer) {
    return layer % 2 == 1;
  }

  private static WeightFormat format(int layer, ExpertRole role) {
    WeightFormat[] formats = WeightFormat.values();
    return formats[role == ExpertRole.DOWN ? layer / formats.length : layer % formats.length];
  }

  private static String name(int layer, int expert, ExpertRole role) {
    return layer + "." + expert + "." + role;
  }

  private float[] values(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) values[i] = (float) random.nextGaussian();
    return values;
  }

  private Matrix[] matrices(int layer, ExpertRole role) {
    int rows = role == ExpertRole.DOWN ? HIDDEN_SIZE : INNER_SIZE;
    int columns = role == ExpertRole.DOWN ? INNER_SIZE : HIDDEN_SIZE;
    Matrix[] matrices = new Matrix[NUM_EXPERTS];
    for (int e = 0; e < NUM_EXPERTS; e++) {
      Matrix matrix =
          WeightCodec.encode(backend, format(layer, role), values(rows * columns), rows, columns);
      open.keep(() -> WeightCodec.close(matrix));
      file.add(name(layer, e, role), matrix);
      matrices[e] = matrix;
    }
    return matrices;
  }

  private Tensor[] biases(int layer, ExpertRole role, int size) {
    Tensor[] biases = new Tensor[NUM_EXPERTS];
    for (int e = 0; e < NUM_EXPERTS; e++) {
      biases[e] = open.keep(backend.of(values(size), size));
      file.add(name(layer, e, role), DType.F32, TensorFile.bytes(biases[e]), size);
    }
    return biases;
  }

  private ExpertStore store(Checkpoint checkpoint) {
    ExpertStore.Builder builder = ExpertStore.builder(checkpoint, HIDDEN_SIZE, INNER_SIZE);
    for (int i = 0; i < NUM_LAYERS; i++) {
      int layer = i;
      builder.addLayer(NUM_EXPERTS, expert -> sources(layer, expert));
    }
    return builder.build();
  }

  private List<ExpertSource> sources(int layer, int expert) {
    List<ExpertSource> sources = new ArrayList<>();
    for (ExpertRole role : ExpertRole.values()) {
      String name = name(layer, expert, role);
      boolean bias = role.name().endsWith("_BIAS");
      boolean ofUp = role == ExpertRole.UP || role == ExpertRole.UP_BIAS;
      if ((bias && !isBiased(layer)) || (ofUp && !gated)) continue;
      if (bias) sources.add(ExpertSource.of(role, name));
      else sources.addAll(TensorFile.sources(role, name, format(layer, role)));
    }
    return sources;
  }

  /** The layer's output over these experts, and which it chose. */
  private int[] bits(int layer, Experts experts, Set<Integer> chosen) {
    try (MoeLayer moe =
            MoeLayer.builder(routers.get(layer), TopKRouter.softmax(2).build(), experts)
                .activation(gated ? Activation.SILU : Activation.RELU)
                .build();
        Tensor output = backend.f32(NUM_TOKENS, HIDDEN_SIZE)) {
      output.fill(Float.NaN);
      moe.forward(backend, hidden, output);
      for (int expert : moe.routing().expertIds().toIntArray()) chosen.add(expert);
      float[] values = output.toFloatArray();
      for (float value : values) assertThat(value).isFinite();
      int[] bits = new int[values.length];
      for (int i = 0; i < bits.length; i++) bits[i] = Float.floatToRawIntBits(values[i]);
      return bits;
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void computesTheBitsOfResidentExperts(boolean gated) throws IOException {
    write(gated);
    List<Set<Integer>> chosen = new ArrayList<>();
    int[][] expected = new int[NUM_LAYERS][];
    for (int layer = 0; layer < NUM_LAYERS; layer++) {
      chosen.add(new TreeSet<>());
      expected[layer] = bits(layer, resident.get(layer), chosen.get(layer));
    }
    assertThat(chosen).anyMatch(ids -> ids.size() < NUM_EXPERTS);
    FaultyReaders poisoned = new FaultyReaders();
    for (int layer = 0; layer < NUM_LAYERS; layer++)
      for (int e = 0; e < NUM_EXPERTS; e++)
        if (!chosen.get(layer).contains(e)) poison(poisoned, layer, e);
    for (RangeReader.Opener opener : List.of(RangeReader.direct(), poisoned)) {
      for (int slots : new int[] {1, 3, NUM_LAYERS * NUM_EXPERTS})
        assertBits(opener, slots, expected, chosen);
    }
  }

  private void assertBits(
      RangeReader.Opener opener, int slots, int[][] expected, List<Set<Integer>> chosen) {
    try (Checkpoint checkpoint = new Checkpoint(file.tensors(), opener)) {
      ExpertStore store = store(checkpoint);
      long budgetBytes = slots * store.slotBytes(backend.memory());
      try (ExpertCache cache =
          new ExpertCache(store, backend.memory(), budgetBytes, EvictionPolicy.lru())) {
        assertThat(cache.numSlots()).isEqualTo(slots);
        long read = 0;
        for (int layer = 0; layer < NUM_LAYERS; layer++) {
          Experts experts = cache.layer(layer);
          assertThat(experts.gateUp().format()).isEqualTo(format(layer, ExpertRole.GATE));
          assertThat(experts.down().format()).isEqualTo(format(layer, ExpertRole.DOWN));
          assertThat(experts.gateUp().isGated()).isEqualTo(gated);
          assertThat(bits(layer, experts, new TreeSet<>())).isEqualTo(expected[layer]);
          for (int e : chosen.get(layer)) read += store.readBytes(layer, e);
          assertThat(cache.counters().demandBytesRead()).isEqualTo(read);
          assertThat(cache.counters().residentBytes()).isLessThanOrEqualTo(budgetBytes);
        }
        assertThat(cache.counters().failedReads()).isZero();
      }
    }
  }

  /** The bytes of every plane of every part fail to be read. */
  private void poison(FaultyReaders readers, int layer, int expert) {
    for (TensorInfo tensor : file.tensors())
      if (tensor.name().startsWith(layer + "." + expert + "."))
        readers.poison(tensor.offset(), tensor.offset() + tensor.sizeBytes());
  }

  /** The check above can fail: every plane of an expert that is chosen is read. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void everyPlaneOfAChosenExpertIsRead(boolean gated) throws IOException {
    write(gated);
    for (int layer : new int[] {0, NUM_LAYERS - 1}) {
      Set<Integer> chosen = new TreeSet<>();
      bits(layer, resident.get(layer), chosen);
      int expert = Collections.max(chosen);
      for (TensorInfo tensor : file.tensors()) {
        if (!tensor.name().startsWith(layer + "." + expert + ".")) continue;
        FaultyReaders readers = new FaultyReaders();
        long end = tensor.offset() + tensor.sizeBytes();
        readers.poison(end - 1, end);
        try (Checkpoint checkpoint = new Checkpoint(file.tensors(), readers)) {
          ExpertStore store = store(checkpoint);
          long budgetBytes = 3 * store.slotBytes(backend.memory());
          try (ExpertCache cache =
              new ExpertCache(store, backend.memory(), budgetBytes, EvictionPolicy.lru())) {
            assertThatThrownBy(() -> bits(layer, cache.layer(layer), new TreeSet<>()))
                .isInstanceOf(ExpertReadException.class)
                .hasMessageContaining(
                    "layer " + layer + ", expert " + expert + ": " + tensor.name() + ":");
          }
        }
      }
    }
  }

  /** A slot is as large as the largest expert of any layer, in the memory of the backend. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aSlotHoldsTheLargestExpert(boolean gated) throws IOException {
    write(gated);
    try (Checkpoint checkpoint = new Checkpoint(file.tensors())) {
      ExpertStore store = store(checkpoint);
      long largest = 0;
      for (int layer = 0; layer < NUM_LAYERS; layer++)
        largest = Math.max(largest, store.storedBytes(layer, 0));
      // in the host's memory 3 reads that begin and end inside a block; on a device the
      // alignment of at most 3 matrices of 2 planes and 3 biases
      long more = backend.memory().isHost() ? 3 * 2 * 4096 : 9 * 255;
      assertThat(store.slotBytes(backend.memory())).isBetween(largest, largest + more);
    }
  }
}
