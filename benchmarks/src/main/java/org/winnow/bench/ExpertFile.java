package org.winnow.bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertSource;
import org.winnow.memory.ExpertStore;
import org.winnow.memory.TensorInfo;
import org.winnow.workload.MoeShape;

/**
 * Experts in the shape of Qwen3-30B-A3B (hidden 2048, intermediate 768, bf16: 9.4 MB each) in a
 * temporary file without holes, on the disk that {@code java.io.tmpdir} names. Values repeat from
 * expert to expert; the disk does not know.
 */
final class ExpertFile implements AutoCloseable {
  static final int HIDDEN_SIZE = MoeShape.QWEN3_30B_A3B.hiddenSize();
  static final int INTERMEDIATE_SIZE = MoeShape.QWEN3_30B_A3B.intermediateSize();
  private static final int MATRIX_BYTES = 2 * HIDDEN_SIZE * INTERMEDIATE_SIZE;
  private static final int HEADER_BYTES = 10_008; // not a multiple of a block, like a real header

  final Path path;
  final Checkpoint checkpoint;
  final ExpertStore store;

  /**
   * @param backend which says how matrices lie in memory
   */
  ExpertFile(Backend backend, int numLayers, int numExperts) throws IOException {
    path = Files.createTempFile("winnow-experts", null);
    path.toFile().deleteOnExit(); // also when it is interrupted
    List<TensorInfo> tensors = new ArrayList<>();
    ByteBuffer values = ByteBuffer.allocateDirect(MATRIX_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    Random random = new Random(1);
    while (values.hasRemaining())
      values.putShort(Float16.toBf16((float) (random.nextGaussian() / 32)));
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.WRITE)) {
      channel.write(ByteBuffer.allocate(HEADER_BYTES));
      for (int i = 0; i < 3 * numLayers * numExperts; i++) {
        values.putShort(0, Float16.toBf16(i));
        String name = name(i / 3 / numExperts, i / 3 % numExperts, i % 3);
        long[] shape =
            i % 3 == 0
                ? new long[] {HIDDEN_SIZE, INTERMEDIATE_SIZE}
                : new long[] {INTERMEDIATE_SIZE, HIDDEN_SIZE};
        tensors.add(
            new TensorInfo(
                name, "BF16", DType.BF16, shape, path, channel.position(), MATRIX_BYTES));
        for (values.clear(); values.hasRemaining(); ) channel.write(values);
      }
      channel.force(false);
    }
    checkpoint = new Checkpoint(tensors);
    ExpertStore.Builder builder =
        ExpertStore.builder(checkpoint, HIDDEN_SIZE, INTERMEDIATE_SIZE).layoutOf(backend);
    for (int i = 0; i < numLayers; i++) {
      int layer = i;
      builder.addLayer(
          numExperts,
          e ->
              List.of(
                  ExpertSource.of(ExpertRole.GATE, name(layer, e, 1)),
                  ExpertSource.of(ExpertRole.UP, name(layer, e, 2)),
                  ExpertSource.of(ExpertRole.DOWN, name(layer, e, 0))));
    }
    store = builder.build();
  }

  /** Value of the first element of an expert's matrix: 0 down, 1 gate, 2 up. */
  float firstElement(int layer, int expert, int matrix) {
    return Float16.fromBf16(Float16.toBf16(3f * (layer * store.numExperts(0) + expert) + matrix));
  }

  private static String name(int layer, int expert, int matrix) {
    return layer + "." + expert + "." + matrix;
  }

  @Override
  public void close() throws IOException {
    checkpoint.close();
    Files.deleteIfExists(path);
  }
}
