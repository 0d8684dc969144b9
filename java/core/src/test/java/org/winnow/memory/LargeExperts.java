package org.winnow.memory;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.winnow.DType;
import org.winnow.Float16;

/**
 * Layers in the shapes of Qwen3-30B-A3B, bf16, in a sparse file: hidden 2048, 128 experts of 768.
 * Four layers are 4.8 GB. Each matrix begins with 4 KiB of random values, the rest are holes, so it
 * is made in a second and takes little of the disk; in memory it is as large as any other.
 */
public final class LargeExperts {
  public static final int NUM_LAYERS = 4;
  public static final int NUM_EXPERTS = 128;
  public static final int TOP_K = 8;
  public static final int HIDDEN_SIZE = 2048;
  public static final int INTERMEDIATE_SIZE = 768;
  private static final long MATRIX_BYTES = 2L * HIDDEN_SIZE * INTERMEDIATE_SIZE;
  private static final long HEADER_BYTES = 10_000;
  private static final String[] MATRICES = {
    "down_proj", "gate_proj", "up_proj"
  }; // the order of public checkpoints

  private LargeExperts() {}

  public static String name(int layer, int expert, String matrix) {
    return "model.layers." + layer + ".mlp.experts." + expert + "." + matrix + ".weight";
  }

  /** The tensors of the file, which need not exist yet. */
  public static List<TensorInfo> tensors(Path file) {
    List<TensorInfo> tensors = new ArrayList<>();
    long offset = HEADER_BYTES;
    for (int layer = 0; layer < NUM_LAYERS; layer++) {
      for (int expert = 0; expert < NUM_EXPERTS; expert++) {
        for (String matrix : MATRICES) {
          long[] shape =
              matrix.equals("down_proj")
                  ? new long[] {HIDDEN_SIZE, INTERMEDIATE_SIZE}
                  : new long[] {INTERMEDIATE_SIZE, HIDDEN_SIZE};
          tensors.add(
              new TensorInfo(
                  name(layer, expert, matrix),
                  "BF16",
                  DType.BF16,
                  shape,
                  file,
                  offset,
                  MATRIX_BYTES));
          offset += MATRIX_BYTES;
        }
      }
    }
    return tensors;
  }

  public static void write(Path file) throws IOException {
    Random random = new Random(30);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      long end = 0;
      for (TensorInfo tensor : tensors(file)) {
        ByteBuffer values = ByteBuffer.allocate(4096).order(ByteOrder.LITTLE_ENDIAN);
        while (values.hasRemaining())
          values.putShort(Float16.toBf16((float) random.nextGaussian()));
        channel.write(values.flip(), tensor.offset());
        end = tensor.offset() + tensor.sizeBytes();
      }
      channel.write(ByteBuffer.allocate(1), end - 1);
    }
  }

  public static ExpertStore store(Checkpoint checkpoint) {
    ExpertStore.Builder builder = ExpertStore.builder(checkpoint, HIDDEN_SIZE, INTERMEDIATE_SIZE);
    for (int i = 0; i < NUM_LAYERS; i++) {
      int layer = i;
      builder.addLayer(
          NUM_EXPERTS,
          e ->
              List.of(
                  ExpertSource.of(ExpertRole.GATE, name(layer, e, "gate_proj")),
                  ExpertSource.of(ExpertRole.UP, name(layer, e, "up_proj")),
                  ExpertSource.of(ExpertRole.DOWN, name(layer, e, "down_proj"))));
    }
    return builder.build();
  }
}
