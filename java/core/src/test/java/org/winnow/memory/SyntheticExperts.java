package org.winnow.memory;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Float16;

/**
 * A checkpoint of experts in any of the layouts, in which every element says whose it is. Offsets
 * are odd blocks on purpose.
 */
public final class SyntheticExperts {
  /** How the experts lie in the file. */
  public enum Layout {
    SEPARATE,
    FUSED,
    INTERLEAVED
  }

  public final Path file;
  public final Layout layout;
  public final DType dtype;
  public final int numLayers;
  public final int numExperts;
  public final int hiddenSize;
  public final int intermediateSize;
  private final List<TensorInfo> tensors = new ArrayList<>();
  private long offset;

  /**
   * @param firstOffset where the first tensor begins: the length of a header
   */
  public SyntheticExperts(
      Path file,
      Layout layout,
      DType dtype,
      int numLayers,
      int numExperts,
      int hiddenSize,
      int intermediateSize,
      long firstOffset)
      throws IOException {
    this.file = file;
    this.layout = layout;
    this.dtype = dtype;
    this.numLayers = numLayers;
    this.numExperts = numExperts;
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
    this.offset = firstOffset;
    try (RandomAccessFile out = new RandomAccessFile(file.toFile(), "rw")) {
      for (int layer = 0; layer < numLayers; layer++) writeLayer(out, layer);
    }
  }

  /**
   * Element [row, column] of a matrix (or [0, column] of a bias) of an expert, as any of the types
   * holds it exactly.
   */
  public float expected(int layer, int expert, ExpertRole role, int row, int column) {
    int hash = (((layer * 31 + expert) * 7 + role.ordinal()) * 131 + row) * 61 + column * 17;
    return ((hash ^ (hash >>> 11)) & 0xff) - 128;
  }

  public List<TensorInfo> tensors() {
    return tensors;
  }

  /** Matrices in rows. */
  public ExpertStore store(Checkpoint checkpoint) {
    return store(ExpertStore.builder(checkpoint, hiddenSize, intermediateSize));
  }

  /** Matrices in the layout of the backend. */
  ExpertStore store(Checkpoint checkpoint, Backend backend) {
    return store(ExpertStore.builder(checkpoint, hiddenSize, intermediateSize).layoutOf(backend));
  }

  private ExpertStore store(ExpertStore.Builder builder) {
    for (int layer = 0; layer < numLayers; layer++) {
      String l = "layers." + layer + ".";
      builder.addLayer(numExperts, e -> sources(l, e));
    }
    return builder.build();
  }

  private List<ExpertSource> sources(String l, int e) {
    return switch (layout) {
      case SEPARATE ->
          List.of(
              ExpertSource.of(ExpertRole.GATE, l + e + ".gate"),
              ExpertSource.of(ExpertRole.UP, l + e + ".up"),
              ExpertSource.of(ExpertRole.DOWN, l + e + ".down"));
      case FUSED ->
          List.of(
              stacked(ExpertRole.GATE, l + "gate_up", e).rowPart(0, 2),
              stacked(ExpertRole.UP, l + "gate_up", e).rowPart(1, 2),
              stacked(ExpertRole.DOWN, l + "down", e));
      case INTERLEAVED ->
          List.of(
              stacked(ExpertRole.GATE, l + "gate_up", e).columns(0, 2).transposed(),
              stacked(ExpertRole.UP, l + "gate_up", e).columns(1, 2).transposed(),
              stacked(ExpertRole.GATE_BIAS, l + "gate_up_bias", e).rows(0, 2),
              stacked(ExpertRole.UP_BIAS, l + "gate_up_bias", e).rows(1, 2),
              stacked(ExpertRole.DOWN, l + "down", e).transposed(),
              stacked(ExpertRole.DOWN_BIAS, l + "down_bias", e));
    };
  }

  private ExpertSource stacked(ExpertRole role, String tensor, int expert) {
    return ExpertSource.of(role, tensor).expert(expert, numExperts);
  }

  private void writeLayer(RandomAccessFile out, int layer) throws IOException {
    int d = hiddenSize;
    int f = intermediateSize;
    String l = "layers." + layer + ".";
    switch (layout) {
      case SEPARATE -> {
        for (int e = 0; e < numExperts; e++) {
          int expert = e;
          write(
              out,
              l + e + ".down",
              new long[] {d, f},
              i -> expected(layer, expert, ExpertRole.DOWN, (int) i / f, (int) i % f));
          write(
              out,
              l + e + ".gate",
              new long[] {f, d},
              i -> expected(layer, expert, ExpertRole.GATE, (int) i / d, (int) i % d));
          write(
              out,
              l + e + ".up",
              new long[] {f, d},
              i -> expected(layer, expert, ExpertRole.UP, (int) i / d, (int) i % d));
        }
      }
      case FUSED -> {
        write(
            out,
            l + "down",
            new long[] {numExperts, d, f},
            i ->
                expected(
                    layer, (int) (i / (d * f)), ExpertRole.DOWN, (int) (i / f % d), (int) (i % f)));
        write(
            out,
            l + "gate_up",
            new long[] {numExperts, 2 * f, d},
            i -> {
              int row = (int) (i / d % (2 * f));
              return expected(
                  layer,
                  (int) (i / (2 * d * f)),
                  row < f ? ExpertRole.GATE : ExpertRole.UP,
                  row % f,
                  (int) (i % d));
            });
      }
      default -> {
        write(
            out,
            l + "down",
            new long[] {numExperts, f, d},
            i ->
                expected(
                    layer, (int) (i / (d * f)), ExpertRole.DOWN, (int) (i % d), (int) (i / d % f)));
        write(
            out,
            l + "down_bias",
            new long[] {numExperts, d},
            i -> expected(layer, (int) (i / d), ExpertRole.DOWN_BIAS, 0, (int) (i % d)));
        write(
            out,
            l + "gate_up",
            new long[] {numExperts, d, 2 * f},
            i -> {
              int column = (int) (i % (2 * f));
              ExpertRole role = column % 2 == 0 ? ExpertRole.GATE : ExpertRole.UP;
              return expected(
                  layer, (int) (i / (2 * d * f)), role, column / 2, (int) (i / (2 * f) % d));
            });
        write(
            out,
            l + "gate_up_bias",
            new long[] {numExperts, 2 * f},
            i -> {
              int column = (int) (i % (2 * f));
              ExpertRole role = column % 2 == 0 ? ExpertRole.GATE_BIAS : ExpertRole.UP_BIAS;
              return expected(layer, (int) (i / (2 * f)), role, 0, column / 2);
            });
      }
    }
  }

  private interface Element {
    float at(long index);
  }

  private void write(RandomAccessFile out, String name, long[] shape, Element element)
      throws IOException {
    long size = 1;
    for (long extent : shape) size *= extent;
    ByteBuffer bytes =
        ByteBuffer.allocate((int) size * dtype.sizeBytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (long i = 0; i < size; i++) {
      float value = element.at(i);
      switch (dtype) {
        case F32 -> bytes.putFloat(value);
        case BF16 -> bytes.putShort(Float16.toBf16(value));
        default -> bytes.putShort(Float16.toF16(value));
      }
    }
    out.seek(offset);
    out.write(bytes.array());
    tensors.add(new TensorInfo(name, dtype.name(), dtype, shape, file, offset, bytes.capacity()));
    offset += bytes.capacity();
  }
}
