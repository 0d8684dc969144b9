package org.winnow.memory;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
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
  public float expected(int layer, int expert, ExpertLayout.Role role, int row, int column) {
    int hash = (((layer * 31 + expert) * 7 + role.ordinal()) * 131 + row) * 61 + column * 17;
    return ((hash ^ (hash >>> 11)) & 0xff) - 128;
  }

  public List<TensorInfo> tensors() {
    return tensors;
  }

  public ExpertStore store(Checkpoint checkpoint) {
    ExpertStore.Builder builder = ExpertStore.builder(checkpoint, hiddenSize, intermediateSize);
    for (int layer = 0; layer < numLayers; layer++) {
      String l = "layers." + layer + ".";
      switch (layout) {
        case SEPARATE ->
            builder.addLayer(
                numExperts, e -> l + e + ".gate", e -> l + e + ".up", e -> l + e + ".down");
        case FUSED -> builder.addFusedLayer(numExperts, l + "gate_up", l + "down");
        default ->
            builder.addInterleavedLayer(
                numExperts, l + "gate_up", l + "gate_up_bias", l + "down", l + "down_bias");
      }
    }
    return builder.build();
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
              i -> expected(layer, expert, ExpertLayout.Role.DOWN, (int) i / f, (int) i % f));
          write(
              out,
              l + e + ".gate",
              new long[] {f, d},
              i -> expected(layer, expert, ExpertLayout.Role.GATE, (int) i / d, (int) i % d));
          write(
              out,
              l + e + ".up",
              new long[] {f, d},
              i -> expected(layer, expert, ExpertLayout.Role.UP, (int) i / d, (int) i % d));
        }
      }
      case FUSED -> {
        write(
            out,
            l + "down",
            new long[] {numExperts, d, f},
            i ->
                expected(
                    layer,
                    (int) (i / (d * f)),
                    ExpertLayout.Role.DOWN,
                    (int) (i / f % d),
                    (int) (i % f)));
        write(
            out,
            l + "gate_up",
            new long[] {numExperts, 2 * f, d},
            i -> {
              int row = (int) (i / d % (2 * f));
              return expected(
                  layer,
                  (int) (i / (2 * d * f)),
                  row < f ? ExpertLayout.Role.GATE : ExpertLayout.Role.UP,
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
                    layer,
                    (int) (i / (d * f)),
                    ExpertLayout.Role.DOWN,
                    (int) (i % d),
                    (int) (i / d % f)));
        write(
            out,
            l + "down_bias",
            new long[] {numExperts, d},
            i -> expected(layer, (int) (i / d), ExpertLayout.Role.DOWN_BIAS, 0, (int) (i % d)));
        write(
            out,
            l + "gate_up",
            new long[] {numExperts, d, 2 * f},
            i -> {
              int column = (int) (i % (2 * f));
              ExpertLayout.Role role =
                  column % 2 == 0 ? ExpertLayout.Role.GATE : ExpertLayout.Role.UP;
              return expected(
                  layer, (int) (i / (2 * d * f)), role, column / 2, (int) (i / (2 * f) % d));
            });
        write(
            out,
            l + "gate_up_bias",
            new long[] {numExperts, 2 * f},
            i -> {
              int column = (int) (i % (2 * f));
              ExpertLayout.Role role =
                  column % 2 == 0 ? ExpertLayout.Role.GATE_BIAS : ExpertLayout.Role.UP_BIAS;
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
