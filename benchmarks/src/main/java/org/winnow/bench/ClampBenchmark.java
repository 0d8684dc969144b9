package org.winnow.bench;

import java.util.Random;
import org.winnow.op.Clamp;

/** Clamping to one standard deviation, in place; bytes: 8 per element. */
public class ClampBenchmark extends RowsBenchmark {
  @Override
  void prepare(Random random) {
    output.copyFrom(input);
    System.arraycopy(inputArray, 0, outputArray, 0, inputArray.length);
  }

  @Override
  void run() {
    Clamp.run(backend, output, 1);
  }

  @Override
  void loop() {
    for (int i = 0; i < outputArray.length; i++)
      outputArray[i] = Math.min(Math.max(outputArray[i], -1), 1);
  }
}
