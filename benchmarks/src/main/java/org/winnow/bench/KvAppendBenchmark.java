package org.winnow.bench;

import java.util.Arrays;
import java.util.Random;
import org.openjdk.jmh.annotations.TearDown;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.op.DeviceTables;
import org.winnow.op.KvCache;

/**
 * Keys and values of new tokens into the pages of a cache, 45 heads of 64 each, at positions from 0
 * on. Bytes: 16 per element.
 */
public class KvAppendBenchmark extends RowsBenchmark {
  private static final int HEAD_DIM = 64;
  private static final int HEADS = WIDTH / HEAD_DIM;

  private KvCache cache;
  private Tensor heads;
  private float[][] pages;

  @Override
  void prepare(Random random) {
    cache = new KvCache(backend.memory(), DType.F32, 1, HEADS, HEAD_DIM, HEAD_DIM, numTokens);
    heads = input.reshape(numTokens, HEADS, HEAD_DIM);
    pages = new float[numTokens / KvCache.PAGE_TOKENS + 1][2 * KvCache.PAGE_TOKENS * WIDTH];
    cache.reserve(numTokens);
    run();
    loop();
    requireEqualPages();
    outputArray = new float[0]; // the outputs are the pages
  }

  private void requireEqualPages() {
    for (int i = 0; i * KvCache.PAGE_TOKENS < numTokens; i++) {
      long address = DeviceTables.keyPage(cache, i);
      try (Tensor page = Tensor.wrap(backend.memory(), address, DType.F32, pages[i].length)) {
        if (!Arrays.equals(rows(page.toFloatArray()), pages[i]))
          throw new AssertionError("page " + i + " differs from the loop's");
      }
    }
  }

  /** The page's keys, then its values, row by row. */
  private float[] rows(float[] page) {
    float[] rows = new float[page.length];
    int at = 0;
    for (int plane = 0; plane < 2; plane++)
      for (int h = 0; h < HEADS; h++)
        for (int slot = 0; slot < KvCache.PAGE_TOKENS; slot++)
          for (int c = 0; c < HEAD_DIM; c++)
            rows[at++] = page[DeviceTables.index(cache, plane, h, slot, c)];
    return rows;
  }

  @Override
  void run() {
    cache.append(backend, 0, cache.keys(), heads);
    cache.append(backend, 0, cache.values(), heads);
  }

  @Override
  void loop() {
    for (int t = 0; t < numTokens; t++) {
      float[] page = pages[t / KvCache.PAGE_TOKENS];
      int slot = t % KvCache.PAGE_TOKENS;
      for (int h = 0; h < HEADS; h++) {
        int keys = (h * KvCache.PAGE_TOKENS + slot) * HEAD_DIM;
        int from = t * WIDTH + h * HEAD_DIM;
        System.arraycopy(inputArray, from, page, keys, HEAD_DIM);
        System.arraycopy(inputArray, from, page, KvCache.PAGE_TOKENS * WIDTH + keys, HEAD_DIM);
      }
    }
  }

  @TearDown
  public void closeCache() {
    cache.close();
  }
}
