package org.winnow.models;

import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.op.Sampler;

/** Chooses the tokens of one generation. */
final class TokenChooser {
  /** The next token. */
  record Choice(int id, @Nullable TokenLogprobs logprobs) {}

  private final Session session;
  private final GenerateOptions options;
  private final Sampler sampler;

  TokenChooser(Session session, GenerateOptions options) {
    this.session = session;
    this.options = options;
    sampler = new Sampler(options.sampler(), options.seed());
  }

  /**
   * @param logits [vocabularySize] f32, of the last token of the session's sequence
   */
  Choice choose(Backend backend, Tensor logits) {
    Tensor seen = options.sampler().penalises() ? session.seen(backend) : null;
    int id = sampler.sample(backend, logits, seen);
    if (options.logprobs() < 0) return new Choice(id, null);
    return new Choice(id, TokenLogprobs.of(logits.toFloatArray(), id, options.logprobs()));
  }
}
