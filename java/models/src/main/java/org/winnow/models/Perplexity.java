package org.winnow.models;

import java.util.Arrays;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;

/**
 * The perplexity of a model on a text, {@code exp(nats / tokensScored)}. The text is computed in
 * windows of limited context. A token is scored by -ln p, where p is the probability that the model
 * gave it.
 *
 * <p>Windows of {@code window} ids start at 0, {@code stride}, {@code 2 * stride} and so on, until
 * one reaches the end. Positions restart at 0 in each window. The first window scores all its ids
 * except the first. Every later window scores the ids that no earlier window contained. So every id
 * except the very first is scored once.
 *
 * @param tokensScored number of tokens scored: one less than the number of ids
 * @param nats the sum of -ln p over the tokens scored
 * @param textBytes UTF-8 bytes of the text, without markers such as {@code <|endoftext|>}
 */
public record Perplexity(int tokensScored, double nats, long textBytes) {
  /** The perplexity per token. */
  public double perToken() {
    return Math.exp(nats / tokensScored);
  }

  /** Bits per byte of text; this does not depend on the vocabulary. */
  public double bitsPerByte() {
    return nats / Math.log(2) / textBytes;
  }

  /** Receives the progress after each window. */
  @FunctionalInterface
  public interface Progress {
    void onTokensScored(int scored, int total);
  }

  /**
   * Computes the perplexity of a text.
   *
   * @param ids the text, at least two tokens
   * @param textBytes UTF-8 bytes of the text, for {@link #bitsPerByte()}
   * @param window ids per window, at least 2
   * @param stride ids between the starts of two consecutive windows, less than {@code window}
   * @throws IllegalArgumentException if one of these arguments is out of range
   * @throws InvalidLogitsException if a logit is NaN, or if the largest logit is not finite
   */
  public static Perplexity of(
      LanguageModel model, int[] ids, long textBytes, int window, int stride, Progress progress) {
    if (ids.length < 2)
      throw new IllegalArgumentException("ids must be at least 2, found " + ids.length);
    if (window < 2)
      throw new IllegalArgumentException("window must be at least 2, found " + window);
    if (stride < 1 || stride >= window)
      throw new IllegalArgumentException(
          "stride must lie in [1, " + (window - 1) + "], found " + stride);
    double nats = 0;
    int done = 1; // ids scored so far, and the first one
    for (int start = 0; done < ids.length; start += stride) {
      int end = Math.min(start + window, ids.length);
      Score score = new Score(Arrays.copyOfRange(ids, start, end), start);
      model.forward(score.ids, done - start - 1, score);
      nats += score.nats;
      done = end;
      progress.onTokensScored(done - 1, ids.length - 1);
    }
    return new Perplexity(ids.length - 1, nats, textBytes);
  }

  /**
   * The number of UTF-8 bytes of the text that these ids stand for, without markers such as {@code
   * <|endoftext|>}. It is exact for tokenizers that preserve every byte.
   *
   * @throws IllegalStateException if the model is closed or has no tokenizer
   */
  public static long textBytes(LanguageModel model, int[] ids) {
    return model.requireTokenizer().textBytes(ids);
  }

  private static final class Score implements ForwardListener {
    private final int[] ids;
    private final int start; // index in the text of the window's first id
    private double nats;

    Score(int[] ids, int start) {
      this.ids = ids;
      this.start = start;
    }

    @Override
    public void onLogits(int firstPosition, Tensor logits) {
      int width = (int) logits.dim(1);
      float[] values = logits.toFloatArray();
      for (int r = 0; r < logits.dim(0) && firstPosition + r + 1 < ids.length; r++) {
        float[] row = Arrays.copyOfRange(values, r * width, (r + 1) * width);
        requireValid(row, start + firstPosition + r);
        nats += TokenLogprobs.logSumExp(row) - row[ids[firstPosition + r + 1]];
      }
    }

    /** Requires the same of logits as a sampler does. */
    private static void requireValid(float[] logits, int token) {
      int largest = 0;
      for (int i = 0; i < logits.length; i++) {
        if (Float.isNaN(logits[i])) throw new InvalidLogitsException(token, i, logits[i]);
        if (logits[i] > logits[largest]) largest = i;
      }
      if (Float.isInfinite(logits[largest]))
        throw new InvalidLogitsException(token, largest, logits[largest]);
    }
  }
}
