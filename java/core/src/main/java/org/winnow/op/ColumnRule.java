package org.winnow.op;

import org.winnow.internal.ActiveColumnsArguments;
import org.winnow.internal.NativeCodes;

/**
 * Which columns of a feed-forward block a controller's logits make active. Immutable.
 *
 * <ul>
 *   <li>{@link #topKOfBlocks}: the topK largest logits of each block of consecutive columns; one of
 *       each is the controller of Scaling Transformer, arXiv:2111.12763, section 3.1.
 *   <li>{@link #topK}: the topK largest logits of all columns; Deja Vu, arXiv:2310.17157.
 *   <li>{@link #threshold}: the columns whose logit reaches a threshold; PowerInfer,
 *       arXiv:2312.12456.
 * </ul>
 *
 * Equal logits are chosen by ascending column; -0 equals +0.
 */
public final class ColumnRule {
  private final long blockSize; // 0: all columns are one block
  private final int topK; // 0: the rule is a threshold
  private final float threshold;
  private final boolean scaled;

  private ColumnRule(long blockSize, int topK, float threshold, boolean scaled) {
    this.blockSize = blockSize;
    this.topK = topK;
    this.threshold = threshold;
    this.scaled = scaled;
  }

  /**
   * @param blockSize columns of a block
   * @param topK chosen of each block, at most blockSize
   */
  public static ColumnRule topKOfBlocks(int blockSize, int topK) {
    if (blockSize < 1)
      throw new IllegalArgumentException("blockSize must be at least 1, found " + blockSize);
    if (topK < 1 || topK > blockSize)
      throw new IllegalArgumentException("topK must lie in [1, " + blockSize + "], found " + topK);
    return new ColumnRule(blockSize, topK, 0, false);
  }

  public static ColumnRule topK(int topK) {
    if (topK < 1) throw new IllegalArgumentException("topK must be at least 1, found " + topK);
    return new ColumnRule(0, topK, 0, false);
  }

  /**
   * @param threshold not NaN; a logit that equals it is active
   */
  public static ColumnRule threshold(float threshold) {
    if (Float.isNaN(threshold))
      throw new IllegalArgumentException("threshold must be a number, found NaN");
    return new ColumnRule(0, 0, threshold, false);
  }

  /** The same rule, whose columns are scaled by the softmax of the logits of their block. */
  public ColumnRule scaledBySoftmax() {
    return new ColumnRule(blockSize, topK, threshold, true);
  }

  /** Whether active columns are scaled by a softmax. */
  public boolean isScaled() {
    return scaled;
  }

  /**
   * The largest number of columns that a token can get, of this many.
   *
   * @throws IllegalArgumentException if the rule does not fit so many columns
   */
  public int maxActive(long numColumns) {
    if (numColumns < 1 || numColumns > Integer.MAX_VALUE)
      throw new IllegalArgumentException(
          "logits must have 1 to " + Integer.MAX_VALUE + " columns, found " + numColumns);
    if (blockSize > 0 && numColumns % blockSize != 0)
      throw new IllegalArgumentException(
          "logits must have a multiple of " + blockSize + " columns, found " + numColumns);
    if (topK > numColumns)
      throw new IllegalArgumentException(
          "logits must have at least " + topK + " columns, found " + numColumns);
    return (int) (topK == 0 ? numColumns : topK * (numColumns / blockSize(numColumns)));
  }

  void describe(long numColumns, ActiveColumnsArguments arguments) {
    arguments
        .numColumns(numColumns)
        .blockSize(blockSize(numColumns))
        .topK(topK)
        .rule(topK > 0 ? NativeCodes.COLUMN_RULE_TOP_K : NativeCodes.COLUMN_RULE_THRESHOLD)
        .threshold(threshold);
  }

  private long blockSize(long numColumns) {
    return blockSize == 0 ? numColumns : blockSize;
  }

  @Override
  public String toString() {
    String chosen =
        topK == 0
            ? "logit >= " + threshold
            : topK + (blockSize == 0 ? " largest" : " largest of each " + blockSize);
    return chosen + (scaled ? ", scaled" : "");
  }
}
