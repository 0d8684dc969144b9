package org.winnow.bench;

import java.util.Random;
import org.winnow.Tensor;
import org.winnow.attention.RopeFrequencies;
import org.winnow.op.Rope;

/**
 * Rotary embedding of 45 heads of 64, half-split, in place; the angles are there already. Bytes: 8
 * per element.
 */
public class RopeBenchmark extends RowsBenchmark {
  private static final int HEAD_DIM = 64;

  private Tensor values;
  private Tensor cos;
  private Tensor sin;
  private float[] cosines;
  private float[] sines;

  @Override
  void prepare(Random random) {
    output.copyFrom(input);
    System.arraycopy(inputArray, 0, outputArray, 0, inputArray.length);
    values = output.reshape(numTokens, WIDTH / HEAD_DIM, HEAD_DIM);
    cos = backend.f32(numTokens, HEAD_DIM / 2);
    sin = backend.f32(numTokens, HEAD_DIM / 2);
    RopeFrequencies.standard(HEAD_DIM, 150_000).angles(1000, cos, sin);
    cosines = cos.toFloatArray();
    sines = sin.toFloatArray();
  }

  @Override
  void run() {
    Rope.run(backend, values, cos, sin, 0, Rope.Layout.HALF_SPLIT);
  }

  @Override
  void loop() {
    int pairs = HEAD_DIM / 2;
    for (int t = 0; t < numTokens; t++) {
      for (int head = t * WIDTH; head < (t + 1) * WIDTH; head += HEAD_DIM) {
        for (int i = 0; i < pairs; i++) {
          float first = outputArray[head + i];
          float second = outputArray[head + pairs + i];
          outputArray[head + i] = first * cosines[t * pairs + i] - second * sines[t * pairs + i];
          outputArray[head + pairs + i] =
              second * cosines[t * pairs + i] + first * sines[t * pairs + i];
        }
      }
    }
  }

  @Override
  public void tearDown() {
    cos.close();
    sin.close();
    super.tearDown();
  }
}
