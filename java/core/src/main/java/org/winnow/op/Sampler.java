package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.DType.I32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.SamplerArguments;
import org.winnow.internal.Status;

/**
 * Chooses the next token. Temperature 0 chooses the largest logit. Otherwise the token is drawn
 * from {@code softmax(logits / temperature)}, restricted as {@link SamplerOptions} says. Of equal
 * logits the smaller index comes first.
 *
 * <p>A draw inverts the cumulative distribution, in order of token index, at one uniform number
 * from a SplitMix64 generator. The seed therefore determines the tokens on every machine and JDK.
 * The sampler holds the generator's state, so use one per sequence and from one thread. Native
 * contract: {@code sampler.h}.
 */
public final class Sampler {
  private final SamplerOptions options;
  private long state;

  /**
   * @param seed seed of the generator; unused at temperature 0
   */
  public Sampler(SamplerOptions options, long seed) {
    this.options = options;
    this.state = seed;
  }

  /** A sampler that always chooses the largest logit. */
  public static Sampler greedy() {
    return new Sampler(SamplerOptions.greedy(), 0);
  }

  /** As {@link #sample(Backend, Tensor, Tensor)}, at the beginning of a sequence. */
  public int sample(Backend backend, Tensor logits) {
    return sample(backend, logits, null);
  }

  /**
   * @param logits [vocabularySize] f32, unchanged; -infinity is never chosen
   * @param seen [numSeen] i32, the tokens of the sequence so far, in any order; each counts once,
   *     however often it occurs; null or empty for none; not looked at without a repetition penalty
   * @return the token
   * @throws InvalidLogitsException naming the first logit that is NaN or +infinity, or that the
   *     penalty makes infinite, or if all are -infinity; the generator's state is unchanged then
   * @throws IllegalArgumentException if a type or shape is wrong, or naming the first seen token
   *     that is not in the vocabulary
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public int sample(Backend backend, Tensor logits, @Nullable Tensor seen) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      logits.require("logits", F32, ANY);
      logits.requireIn("logits", memory);
      if (logits.dim(0) < 1 || logits.dim(0) > Integer.MAX_VALUE) {
        throw new IllegalArgumentException(
            "logits must hold 1 to 2^31 - 1 values, found " + logits.dim(0));
      }
      if (seen != null) {
        seen.require("seen", I32, ANY);
        seen.requireIn("seen", memory);
      }
      SamplerArguments arguments = call.arguments().sampler;
      arguments
          .logits(argument(logits))
          .vocabularySize(logits.dim(0))
          .numSeen(0)
          .temperature(options.temperature());
      // the others are not read without seen tokens, or at temperature 0
      if (seen != null && options.penalises()) {
        arguments
            .seen(argument(seen))
            .numSeen(seen.dim(0))
            .repetitionPenalty((float) options.repetitionPenalty());
      }
      long next = state + 0x9E3779B97F4A7C15L;
      if (options.temperature() > 0) {
        arguments
            .topK(options.topK())
            .topP(options.topP())
            .minP(options.minP())
            .uniform(uniform(next));
      }
      Status status = Internals.kernels(backend).sampler(arguments);
      if (status == Status.REFUSED) throw refused(logits, seen, arguments.detail());
      if (options.temperature() > 0) state = next;
      return (int) arguments.detail();
    } finally {
      call.exit();
      Reference.reachabilityFence(logits);
      Reference.reachabilityFence(seen);
    }
  }

  /**
   * SplitMix64 (Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195), upper 53 bits, in [0, 1).
   */
  static double uniform(long state) {
    long z = (state ^ (state >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return ((z ^ (z >>> 31)) >>> 11) * 0x1p-53;
  }

  /** The exception for a detail that the contract refuses with. */
  private static RuntimeException refused(Tensor logits, @Nullable Tensor seen, long detail) {
    long size = logits.dim(0);
    if (detail > size && seen != null) {
      long at = detail - size - 1;
      return new IllegalArgumentException(
          "seen must lie in [0, " + size + "), found " + seen.getInt(at) + " at index " + at);
    }
    if (detail == size)
      return new InvalidLogitsException(0, size - 1, Float.NEGATIVE_INFINITY); // all of them
    float found = logits.getFloat(detail);
    // a finite one was divided by a penalty of less than 1
    return new InvalidLogitsException(
        0, detail, Float.isFinite(found) ? Float.POSITIVE_INFINITY : found);
  }
}
