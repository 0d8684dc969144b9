package org.winnow.bench;

import java.util.Random;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.Tensor;
import org.winnow.op.Embedding;

/**
 * Rows of a bf16 table of 16,384 tokens (94 MB, so mostly not in cache), at random; bytes: 6 per
 * element.
 */
public class EmbeddingBenchmark extends RowsBenchmark {
  private static final int VOCABULARY = 16_384;

  private Tensor table;
  private Tensor tokenIds;
  private int[] ids;
  private short[] tableArray;

  @Override
  void prepare(Random random) {
    tableArray = new short[VOCABULARY * WIDTH];
    for (int i = 0; i < tableArray.length; i++) tableArray[i] = Float16.toBf16(random.nextFloat());
    try (Tensor onHost = Tensor.allocate(DType.BF16, VOCABULARY, WIDTH)) {
      onHost.asByteBuffer().asShortBuffer().put(tableArray);
      table = backend.copyOf(onHost);
    }
    ids = random.ints(numTokens, 0, VOCABULARY).toArray();
    tokenIds = backend.of(ids, numTokens);
  }

  @Override
  void run() {
    Embedding.run(backend, table, tokenIds, output);
  }

  @Override
  void loop() {
    for (int t = 0; t < numTokens; t++) {
      for (int i = 0; i < WIDTH; i++)
        outputArray[t * WIDTH + i] = Float16.fromBf16(tableArray[ids[t] * WIDTH + i]);
    }
  }

  @Override
  public void tearDown() {
    table.close();
    tokenIds.close();
    super.tearDown();
  }
}
