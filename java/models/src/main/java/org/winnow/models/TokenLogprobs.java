package org.winnow.models;

import java.util.ArrayDeque;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.PriorityQueue;

/**
 * Natural logarithms of the probabilities that the model gives to tokens at one position. They are
 * those of {@code softmax(logits)}, before repetition penalty, temperature and every restriction of
 * the sampler, as vLLM's {@code raw_logprobs}. So they do not depend on the options.
 *
 * @param logprob that of the chosen token
 * @param top the most probable tokens, the most probable first; of equal ones the smaller id first.
 *     Tokens of probability 0 are left out
 */
public record TokenLogprobs(double logprob, List<Candidate> top) {
  /** A token and its log probability. */
  public record Candidate(int id, double logprob) {}

  public TokenLogprobs {
    top = List.copyOf(top);
  }

  /**
   * @param logits one per token of the vocabulary, none of them NaN and at least one finite
   * @param chosen the chosen token
   * @param count number of most probable tokens
   */
  static TokenLogprobs of(float[] logits, int chosen, int count) {
    double normaliser = logSumExp(logits);
    Comparator<Integer> lastFirst = // the heap's top is the one to drop
        Comparator.<Integer>comparingDouble(id -> logits[id] + 0f).thenComparing(id -> -id);
    PriorityQueue<Integer> best = new PriorityQueue<>(lastFirst);
    for (int id = 0; id < logits.length && count > 0; id++) {
      boolean full = best.size() == count;
      if (logits[id] == Float.NEGATIVE_INFINITY || (full && logits[id] <= logits[best.element()]))
        continue;
      if (full) best.remove();
      best.add(id);
    }
    Deque<Candidate> top = new ArrayDeque<>();
    while (!best.isEmpty()) {
      int id = best.remove();
      top.addFirst(new Candidate(id, logits[id] - normaliser));
    }
    return new TokenLogprobs(logits[chosen] - normaliser, List.copyOf(top));
  }

  /** {@code ln(sum of e^logit)}; the largest logit must be finite. */
  static double logSumExp(float[] logits) {
    float largest = Float.NEGATIVE_INFINITY;
    for (float logit : logits) largest = Math.max(largest, logit);
    double sum = 0;
    for (float logit : logits) sum += Math.exp((double) logit - largest);
    return largest + Math.log(sum);
  }
}
