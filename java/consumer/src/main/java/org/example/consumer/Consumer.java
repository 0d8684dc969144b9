package org.example.consumer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.cpu.CpuBackend;
import org.winnow.layer.RmsNorm;

/** Normalises a row that lies in a buffer of its own. */
public final class Consumer {
  private Consumer() {}

  public static void main(String[] args) {
    ByteBuffer memory = ByteBuffer.allocateDirect(2 * Float.BYTES).order(ByteOrder.nativeOrder());
    FloatBuffer row = memory.asFloatBuffer().put(0, 3).put(1, 4);
    try (Backend backend = new CpuBackend();
        Tensor hidden = Tensor.wrap(memory, DType.F32, 1, 2);
        Tensor weight = Tensor.of(new float[] {1, 2}, 2)) {
      RmsNorm.run(backend, hidden, weight, hidden, 0);
    }
    double scale = Math.sqrt((3 * 3 + 4 * 4) / 2.0);
    if (Math.abs(row.get(0) - 3 / scale) > 1e-6 || Math.abs(row.get(1) - 2 * 4 / scale) > 1e-6) {
      throw new AssertionError("wrong result: " + row.get(0) + ", " + row.get(1));
    }
    System.out.println("consumer: right result, " + (Consumer.class.getModule().isNamed() ? "module path" : "class path"));
  }
}
