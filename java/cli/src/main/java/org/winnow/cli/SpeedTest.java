package org.winnow.cli;

import java.util.Random;
import java.util.Set;
import org.winnow.models.GenerateOptions;
import org.winnow.models.GenerationResult;
import org.winnow.models.LanguageModel;
import org.winnow.models.TokenListener;

/**
 * One of the two tests of llama-bench: {@code pp512} computes a prompt of 512 tokens in an empty
 * sequence, {@code tg64} then 64 tokens, one after the other, in a new sequence.
 *
 * @param numTokens that are timed
 */
record SpeedTest(Kind kind, int numTokens) {
  enum Kind {
    PREFILL,
    DECODE
  }

  private static final long SEED = 7;
  private static final Set<Integer> NO_STOP = Set.of();

  /** The name that llama-bench gives to this test. */
  String name() {
    return (kind == Kind.PREFILL ? "pp" : "tg") + numTokens;
  }

  /** Runs it on the same tokens each time. Returns the time of its tokens in seconds. */
  double seconds(LanguageModel model) {
    boolean prefill = kind == Kind.PREFILL;
    int[] prompt =
        new Random(SEED)
            .ints(prefill ? numTokens : 1, 0, model.config().vocabularySize())
            .toArray();
    // Drawn rather than the most probable tokens, which would soon repeat, and their experts too.
    GenerateOptions options =
        GenerateOptions.sampling(prefill ? 1 : numTokens + 1, 1, SEED).withStopIds(NO_STOP);
    GenerationResult result = model.generate(prompt, options, TokenListener.NONE);
    return 1e-9 * (prefill ? result.prefillNanos() : result.decodeNanos());
  }
}
