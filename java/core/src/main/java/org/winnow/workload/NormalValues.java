package org.winnow.workload;

import java.nio.ByteBuffer;
import java.util.Random;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.Tensor;

/**
 * Fills tensors with normal numbers: stretches of one table, from a random place on. Drawing a
 * billion numbers for weights would take longer than what is measured.
 */
final class NormalValues {
  /** Elements after which values repeat. It is a prime: no two rows of a matrix are equal. */
  static final int PERIOD = 1_048_583;

  private static final float[] TABLE = table();

  private NormalValues() {}

  /** Overwrites a floating tensor of less than 2 GiB, wherever it lies. */
  static Tensor fill(Tensor tensor, Random random, double deviation) {
    if (!tensor.memory().isHost()) {
      try (Tensor onHost = Tensor.allocate(tensor.dtype(), tensor.size())) {
        return tensor.copyFrom(fill(onHost, random, deviation));
      }
    }
    ByteBuffer bytes = tensor.asByteBuffer();
    int place = random.nextInt(PERIOD);
    while (bytes.hasRemaining()) {
      float value = (float) (deviation * TABLE[place]);
      switch (tensor.dtype()) {
        case F32 -> bytes.putFloat(value);
        case BF16 -> bytes.putShort(Float16.toBf16(value));
        case F16 -> bytes.putShort(Float16.toF16(value));
        default ->
            throw new IllegalArgumentException("tensor must be f32, bf16 or f16, found " + tensor);
      }
      if (++place == PERIOD) place = 0;
    }
    return tensor;
  }

  /** The same as {@link Tensor#toFloatArray}, but fast enough for tens of millions of elements. */
  static float[] read(Tensor tensor) {
    if (tensor.dtype() != DType.BF16 || !tensor.memory().isHost()) return tensor.toFloatArray();
    short[] bits = new short[Math.toIntExact(tensor.size())];
    tensor.asByteBuffer().asShortBuffer().get(bits);
    float[] values = new float[bits.length];
    for (int i = 0; i < bits.length; i++) values[i] = Float16.fromBf16(bits[i]);
    return values;
  }

  private static float[] table() {
    Random random = new Random(99);
    float[] table = new float[PERIOD];
    for (int i = 0; i < PERIOD; i++) table[i] = (float) random.nextGaussian();
    return table;
  }
}
