package org.winnow.memory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.internal.AddressTable;

/** Whatever a source takes of a tensor, and wherever that lies, arrives element by element. */
class ExpertSourceTest {
  @TempDir Path folder;

  /** The place in a stored extent of the i-th of n that are wanted. */
  private interface Place {
    long of(long i, long n);
  }

  private static final Place SAME = (i, n) -> i;

  /** One way of storing a matrix. */
  private enum Kind {
    WHOLE(source -> source, 1, 1, SAME, SAME, false),
    FIRST_ROWS(source -> source.rowPart(0, 2), 2, 1, SAME, SAME, false),
    LAST_ROWS(source -> source.rowPart(2, 3), 3, 1, (i, n) -> 2 * n + i, SAME, false),
    EVERY_THIRD_ROW(source -> source.rows(1, 3), 3, 1, (i, n) -> 3 * i + 1, SAME, false),
    SECOND_COLUMNS(source -> source.columnPart(1, 2), 1, 2, SAME, (i, n) -> n + i, false),
    EVERY_OTHER_COLUMN(source -> source.columns(1, 2), 1, 2, SAME, (i, n) -> 2 * i + 1, false),
    TRANSPOSED(ExpertSource::transposed, 1, 1, SAME, SAME, true),
    TRANSPOSED_EVERY_OTHER_COLUMN(
        source -> source.columns(0, 2).transposed(), 1, 2, SAME, (i, n) -> 2 * i, true),
    TRANSPOSED_THIRD_COLUMNS(
        source -> source.transposed().columnPart(2, 3), 1, 3, SAME, (i, n) -> 2 * n + i, true),
    TRANSPOSED_BOTH(
        source -> source.transposed().rows(2, 3).columns(3, 4),
        3,
        4,
        (i, n) -> 3 * i + 2,
        (i, n) -> 4 * i + 3,
        true);

    final UnaryOperator<ExpertSource> source;
    final int rowFactor;
    final int columnFactor;
    final Place row;
    final Place column;
    final boolean transposed;

    Kind(
        UnaryOperator<ExpertSource> source,
        int rowFactor,
        int columnFactor,
        Place row,
        Place column,
        boolean transposed) {
      this.source = source;
      this.rowFactor = rowFactor;
      this.columnFactor = columnFactor;
      this.row = row;
      this.column = column;
      this.transposed = transposed;
    }

    boolean movesColumns() {
      return columnFactor > 1 || transposed;
    }
  }

  static List<Arguments> kinds() {
    List<Arguments> kinds = new ArrayList<>();
    for (Kind kind : Kind.values())
      for (WeightFormat format : WeightFormat.values())
        if (format.blockBytes() == plainType(format).sizeBytes() || !kind.movesColumns())
          for (boolean stacked : new boolean[] {false, true})
            kinds.add(Arguments.of(kind, format, stacked));
    return kinds;
  }

  @ParameterizedTest
  @MethodSource("kinds")
  void everyElementArrives(Kind kind, WeightFormat format, boolean stacked) throws IOException {
    for (long firstOffset : new long[] {0, 4096 + 8, 4095, 97})
      for (RangeReader.Opener opener :
          List.of(RangeReader.direct(), RangeReader.buffered(), new FaultyReaders()))
        check(kind, format, stacked, firstOffset, opener, 37, 21);
  }

  /** More than what is read at once: 4 MiB. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  void everyElementOfALargeMatrixArrives(Kind kind) throws IOException {
    check(kind, WeightFormat.BF16, true, 4095, RangeReader.direct(), 1501, 1103);
  }

  private void check(
      Kind kind,
      WeightFormat format,
      boolean stacked,
      long firstOffset,
      RangeReader.Opener opener,
      int hiddenUnits,
      int innerUnits)
      throws IOException {
    int d = hiddenUnits * format.blockElements();
    int f = innerUnits * format.blockElements();
    int numExperts = 2;
    Random random = new Random(firstOffset + kind.ordinal());
    DType type = plainType(format);
    int unitBytes = type.sizeBytes();
    int unitsPerBlock = format.blockBytes() / unitBytes;
    List<byte[]> expected = new ArrayList<>();
    List<ExpertSource> sources = new ArrayList<>();
    try (TensorFile file = new TensorFile(folder.resolve("weights"), firstOffset)) {
      for (ExpertRole role : ExpertRole.values()) {
        boolean down = role == ExpertRole.DOWN || role == ExpertRole.DOWN_BIAS;
        int rows = down ? d : f;
        if (role.name().endsWith("_BIAS")) {
          expected.add(vector(file, random, role.name(), DType.BF16, rows));
          sources.add(ExpertSource.of(role, role.name()).rows(1, 3));
          continue;
        }
        int columns = (down ? f : d) / format.blockElements() * unitsPerBlock;
        long p = kind.transposed ? columns : rows; // stored rows that are wanted
        long q = kind.transposed ? rows : columns;
        long storedRows = p * kind.rowFactor;
        long storedColumns = q * kind.columnFactor;
        byte[] stored =
            new byte
                [Math.toIntExact(
                    (stacked ? numExperts : 1) * storedRows * storedColumns * unitBytes)];
        random.nextBytes(stored);
        long begin = stacked ? storedRows * storedColumns : 0; // of expert 1
        byte[] wanted = new byte[rows * columns * unitBytes];
        for (long i = 0; i < p; i++) {
          for (long j = 0; j < q; j++) {
            long from = begin + kind.row.of(i, p) * storedColumns + kind.column.of(j, q);
            long to = kind.transposed ? j * p + i : i * q + j;
            System.arraycopy(
                stored, (int) from * unitBytes, wanted, (int) to * unitBytes, unitBytes);
          }
        }
        long[] shape = {storedRows, storedColumns};
        if (stacked) shape = new long[] {numExperts, storedRows, storedColumns};
        file.add(role.name(), type, stored, shape);
        expected.add(wanted);
        ExpertSource source = kind.source.apply(ExpertSource.of(role, role.name()));
        if (stacked) source = source.expert(1, numExperts);
        sources.add(type == DType.I8 ? source.format(format) : source);
        if (format.planes() == 1) continue;
        String scale = role + ".scale";
        expected.add(vector(file, random, scale, down ? DType.F32 : DType.F16, rows));
        sources.add(ExpertSource.of(role, scale).plane(1).rows(1, 3));
        file.skip(1);
      }
      assertArrives(file, opener, d, f, sources, expected, WeightLayout.ROWS);
      if (!format.has(WeightLayout.PANELS)) return;
      for (int i = 0; i < sources.size(); i++) {
        ExpertRole role = sources.get(i).role();
        if (!role.isBias())
          expected.set(
              i, panels(expected.get(i), role == ExpertRole.DOWN ? f : d, unitBytes, format));
      }
      assertArrives(file, opener, d, f, sources, expected, WeightLayout.PANELS);
    }
  }

  /** A matrix in panels, element by element as weight_layout.h describes it. */
  private static byte[] panels(byte[] matrix, int columns, int elementBytes, WeightFormat format) {
    int rows = matrix.length / columns / elementBytes;
    byte[] panels = new byte[matrix.length];
    int to = 0;
    for (int first = 0; first < rows; first += 16)
      for (int group = 0; group < columns; group += format.panelElements())
        for (int row = first; row < Math.min(rows, first + 16); row++)
          for (int c = group; c < Math.min(columns, group + format.panelElements()); c++, to++)
            System.arraycopy(
                matrix,
                (row * columns + c) * elementBytes,
                panels,
                to * elementBytes,
                elementBytes);
    return panels;
  }

  /** A backend that wants every matrix in that layout. */
  private static Backend wanting(WeightLayout layout) {
    return new Backend() {
      @Override
      public WeightLayout weightLayout(WeightFormat format) {
        return format.has(layout) ? layout : WeightLayout.ROWS;
      }

      @Override
      public String name() {
        return "of this test";
      }

      @Override
      public String description() {
        return name();
      }

      @Override
      public TensorMemory memory() {
        return TensorMemory.host();
      }

      @Override
      public void close() {}
    };
  }

  /** Writes three times as many values; those that are wanted, as f32. */
  private static byte[] vector(TensorFile file, Random random, String name, DType type, int count) {
    float[] stored = new float[3 * count];
    float[] wanted = new float[count];
    for (int i = 0; i < stored.length; i++) stored[i] = random.nextInt(256) - 128;
    for (int i = 0; i < count; i++) wanted[i] = stored[3 * i + 1];
    file.add(name, type, TensorFile.bytes(type, stored), stored.length);
    return TensorFile.bytes(DType.F32, wanted);
  }

  private static void assertArrives(
      TensorFile file,
      RangeReader.Opener opener,
      int d,
      int f,
      List<ExpertSource> sources,
      List<byte[]> expected,
      WeightLayout layout) {
    try (Checkpoint checkpoint = new Checkpoint(file.tensors(), opener)) {
      ExpertStore store =
          ExpertStore.builder(checkpoint, d, f)
              .layoutOf(wanting(layout))
              .addLayer(1, expert -> sources)
              .build();
      try (ExpertCache cache = new ExpertCache(store, store.slotBytes(), EvictionPolicy.lru())) {
        cache.layer(0).acquire(new int[] {0}, 1);
        for (int i = 0; i < sources.size(); i++) {
          long address = address(cache, sources.get(i).role(), sources.get(i).plane());
          try (Tensor plane = Tensor.wrap(address, DType.I8, expected.get(i).length)) {
            byte[] found = new byte[expected.get(i).length];
            plane.asByteBuffer().get(found);
            assertThat(Arrays.mismatch(found, expected.get(i)))
                .as("first other byte of %s", sources.get(i))
                .isEqualTo(-1);
          }
        }
        cache.layer(0).release();
        assertThat(cache.counters().demandBytesRead()).isEqualTo(store.readBytes(0, 0));
      }
    }
  }

  private static long address(ExpertCache cache, ExpertRole role, int plane) {
    boolean down = role == ExpertRole.DOWN || role == ExpertRole.DOWN_BIAS;
    var matrices = down ? cache.layer(0).down() : cache.layer(0).gateUp();
    int planes = matrices.format().planes();
    int entry =
        switch (role) {
          case GATE, DOWN -> plane;
          case UP -> planes + plane;
          case GATE_BIAS, DOWN_BIAS -> 2 * planes;
          case UP_BIAS -> 2 * planes + 1;
        };
    return AddressTable.of(matrices).get(0, entry);
  }

  /** The type of a tensor that holds the format's blocks. */
  private static DType plainType(WeightFormat format) {
    return switch (format.toString()) {
      case "f32" -> DType.F32;
      case "bf16" -> DType.BF16;
      case "f16" -> DType.F16;
      default -> DType.I8;
    };
  }

  /** What two parts share is read once. */
  @Test
  void rowsThatAlternateAreReadOnce() throws IOException {
    int d = 40;
    int f = 24;
    try (TensorFile file = new TensorFile(folder.resolve("weights"), 8)) {
      file.add("gate_up", DType.BF16, new byte[2 * 2 * f * d], 2 * f, d);
      file.add("down", DType.BF16, new byte[2 * f * d], d, f);
      try (Checkpoint checkpoint = new Checkpoint(file.tensors(), RangeReader.buffered())) {
        ExpertStore store =
            ExpertStore.builder(checkpoint, d, f)
                .addLayer(
                    1,
                    expert ->
                        List.of(
                            ExpertSource.of(ExpertRole.GATE, "gate_up").rows(0, 2),
                            ExpertSource.of(ExpertRole.UP, "gate_up").rows(1, 2),
                            ExpertSource.of(ExpertRole.DOWN, "down")))
                .build();
        assertThat(store.storedBytes(0, 0)).isEqualTo(3L * 2 * f * d);
        assertThat(store.readBytes(0, 0)).isEqualTo(3L * 2 * f * d);
        assertThat(store.layout(0, 0).direct()).hasSize(1);
        assertThat(store.layout(0, 0).staged()).hasSize(1);
      }
    }
  }

  @Test
  void refusesWhatIsNoPlace() {
    ExpertSource source = ExpertSource.of(ExpertRole.GATE, "gate");
    assertThatThrownBy(() -> source.plane(-1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("plane must not be negative, found -1");
    assertThatThrownBy(() -> source.expert(4, 4))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("expert must lie in [0, 4), found 4");
    assertThatThrownBy(() -> source.rowPart(2, 2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("part must lie in [0, 2), found 2");
    assertThatThrownBy(() -> source.columns(-1, 2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("first must lie in [0, 2), found -1");
    assertThatThrownBy(() -> source.rows(0, 0)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> ExpertSource.of(null, "gate"))
        .isInstanceOf(NullPointerException.class);
  }
}
