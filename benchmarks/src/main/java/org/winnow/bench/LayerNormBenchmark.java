package org.winnow.bench;

import java.util.Random;
import org.winnow.Tensor;
import org.winnow.op.LayerNorm;

/** Layer normalisation of rows, sums in f64; bytes: 8 per element. */
public class LayerNormBenchmark extends RowsBenchmark {
  private Tensor weight;
  private float[] weightArray;

  @Override
  void prepare(Random random) {
    weightArray = gaussian(random, WIDTH);
    weight = backend.of(weightArray, WIDTH);
  }

  @Override
  void run() {
    LayerNorm.run(backend, input, weight, null, output, 1e-6f);
  }

  @Override
  void loop() {
    for (int t = 0; t < numTokens; t++) {
      double sum = 0;
      for (int i = 0; i < WIDTH; i++) sum += inputArray[t * WIDTH + i];
      double mean = sum / WIDTH;
      double squares = 0;
      for (int i = 0; i < WIDTH; i++)
        squares += (inputArray[t * WIDTH + i] - mean) * (inputArray[t * WIDTH + i] - mean);
      double scale = 1 / Math.sqrt(squares / WIDTH + 1e-6f);
      for (int i = 0; i < WIDTH; i++) {
        outputArray[t * WIDTH + i] =
            (float) (weightArray[i] * ((inputArray[t * WIDTH + i] - mean) * scale));
      }
    }
  }

  @Override
  public void tearDown() {
    weight.close();
    super.tearDown();
  }
}
