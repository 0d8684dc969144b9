package org.winnow.models;

import java.util.Arrays;
import java.util.BitSet;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;

/**
 * The distinct tokens of one sequence, in the memory of a backend, for the repetition penalty. Its
 * memory has room for all of them from the beginning: to release memory while it grows would end
 * captured steps.
 */
final class SeenTokens implements AutoCloseable {
  private final BitSet present = new BitSet();
  private final Tensor ids; // [capacity] i32, the distinct tokens in order of appearance
  private int numDistinct;
  private int numTokens; // of the sequence, so far

  /**
   * @param capacity number of tokens of the vocabulary, or of the context if that is less
   */
  SeenTokens(Backend backend, int capacity) {
    ids = backend.allocate(DType.I32, capacity);
  }

  /**
   * Adds the tokens that the sequence has gained.
   *
   * @param sequence its first {@code length} entries are the whole sequence
   * @return [distinct] i32, valid until the next call
   */
  Tensor advance(int[] sequence, int length) {
    int[] added = new int[length - numTokens];
    int numAdded = 0;
    for (; numTokens < length; numTokens++) {
      if (present.get(sequence[numTokens])) continue;
      present.set(sequence[numTokens]);
      added[numAdded++] = sequence[numTokens];
    }
    if (numAdded > 0) {
      ids.slice(numDistinct, numDistinct + numAdded).copyFrom(Arrays.copyOf(added, numAdded));
      numDistinct += numAdded;
    }
    return ids.slice(0, numDistinct);
  }

  @Override
  public void close() {
    ids.close();
  }
}
