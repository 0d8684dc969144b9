package org.winnow.bench;

import java.util.Random;
import org.winnow.op.StridedCopy;

/**
 * From token-major to head-major, 45 heads of 64: what the cache does with new keys. Bytes: 8 per
 * element.
 */
public class StridedCopyBenchmark extends RowsBenchmark {
  private static final int HEAD_DIM = 64;
  private static final int HEADS = WIDTH / HEAD_DIM;

  @Override
  void prepare(Random random) {}

  @Override
  void run() {
    StridedCopy.run(
        backend,
        input,
        0,
        WIDTH,
        HEAD_DIM,
        output,
        0,
        HEAD_DIM,
        (long) numTokens * HEAD_DIM,
        numTokens,
        HEADS,
        HEAD_DIM);
  }

  @Override
  void loop() {
    for (int t = 0; t < numTokens; t++) {
      for (int h = 0; h < HEADS; h++) {
        System.arraycopy(
            inputArray,
            t * WIDTH + h * HEAD_DIM,
            outputArray,
            (h * numTokens + t) * HEAD_DIM,
            HEAD_DIM);
      }
    }
  }
}
