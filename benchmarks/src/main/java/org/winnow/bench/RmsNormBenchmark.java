package org.winnow.bench;

import java.util.Random;
import org.winnow.Tensor;
import org.winnow.op.RmsNorm;

/** Root-mean-square normalisation of rows, sums in f64; bytes: 8 per element. */
public class RmsNormBenchmark extends RowsBenchmark {
  private Tensor weight;
  private float[] weightArray;

  @Override
  void prepare(Random random) {
    weightArray = gaussian(random, WIDTH);
    weight = backend.of(weightArray, WIDTH);
  }

  @Override
  void run() {
    RmsNorm.run(backend, input, weight, output, 1e-6f);
  }

  @Override
  void loop() {
    for (int t = 0; t < numTokens; t++) {
      double squares = 0;
      for (int i = 0; i < WIDTH; i++)
        squares += (double) inputArray[t * WIDTH + i] * inputArray[t * WIDTH + i];
      float scale = (float) (1 / Math.sqrt(squares / WIDTH + 1e-6f));
      for (int i = 0; i < WIDTH; i++)
        outputArray[t * WIDTH + i] = weightArray[i] * (inputArray[t * WIDTH + i] * scale);
    }
  }

  @Override
  public void tearDown() {
    weight.close();
    super.tearDown();
  }
}
