package org.winnow.bench;

import java.util.Random;
import org.winnow.op.Add;

/** The residual addition; bytes: 12 per element. */
public class AddBenchmark extends RowsBenchmark {
  @Override
  void prepare(Random random) {}

  @Override
  void run() {
    Add.run(backend, output, input);
  }

  @Override
  void loop() {
    for (int i = 0; i < outputArray.length; i++) outputArray[i] += inputArray[i];
  }
}
