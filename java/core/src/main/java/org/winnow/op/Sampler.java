package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.Tensor.ANY;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
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
 * from {@code softmax(logits / temperature)}, restricted first to the {@code topK} largest and then
 * to the fewest largest of these that hold at least {@code topP} of their mass (Holtzman et al.
 * 2019, arXiv:1904.09751). Of equal logits the smaller index comes first.
 *
 * <p>A draw inverts the cumulative distribution, in order of token index, at one uniform number
 * from a SplitMix64 generator. The seed therefore determines the tokens on every machine and JDK.
 * The sampler holds the generator's state, so use one per sequence and from one thread. Native
 * contract: {@code sampler.h}.
 */
public final class Sampler {
  private final double temperature;
  private final int topK;
  private final double topP;
  private long state;

  /**
   * @param temperature 0 to choose the largest logit
   * @param topK 0 for no limit
   * @param topP in (0, 1]; 1 for no limit
   * @param seed seed of the generator; unused at temperature 0
   * @throws IllegalArgumentException naming the value that is wrong
   */
  public Sampler(double temperature, int topK, double topP, long seed) {
    if (!(temperature >= 0) || Double.isInfinite(temperature)) {
      throw new IllegalArgumentException("temperature must be 0 or more, found " + temperature);
    }
    if (topK < 0) throw new IllegalArgumentException("topK must not be negative, found " + topK);
    if (!(topP > 0 && topP <= 1))
      throw new IllegalArgumentException("topP must lie in (0, 1], found " + topP);
    this.temperature = temperature;
    this.topK = topK;
    this.topP = topP;
    this.state = seed;
  }

  /** A sampler that always chooses the largest logit. */
  public static Sampler greedy() {
    return new Sampler(0, 0, 1, 0);
  }

  /**
   * @param logits [vocabularySize] f32; -infinity is never chosen
   * @return the token
   * @throws InvalidLogitsException naming the first logit that is NaN or +infinity, or if all are
   *     -infinity; the generator's state is unchanged then
   * @throws IllegalArgumentException if the type or shape is wrong
   * @throws IllegalStateException if the tensor or the backend is closed
   */
  public int sample(Backend backend, Tensor logits) {
    NativeCall call = NativeCall.enter();
    try {
      TensorMemory memory = backend.memory();
      logits.require("logits", F32, ANY);
      logits.requireIn("logits", memory);
      if (logits.dim(0) < 1 || logits.dim(0) > Integer.MAX_VALUE) {
        throw new IllegalArgumentException(
            "logits must hold 1 to 2^31 - 1 values, found " + logits.dim(0));
      }
      long next = state + 0x9E3779B97F4A7C15L;
      SamplerArguments arguments = call.arguments().sampler;
      arguments
          .logits(argument(logits))
          .vocabularySize(logits.dim(0))
          .topK(topK)
          .temperature(temperature)
          .topP(topP)
          .uniform(uniform(next));
      Status status = Internals.kernels(backend).sampler(arguments);
      if (status == Status.REFUSED) throw refused(logits, arguments.detail());
      if (temperature > 0) state = next;
      return (int) arguments.detail();
    } finally {
      call.exit();
      Reference.reachabilityFence(logits);
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

  private static InvalidLogitsException refused(Tensor logits, long index) {
    // an index past the end means that all logits are -infinity
    long at = Math.min(index, logits.dim(0) - 1);
    return new InvalidLogitsException(0, at, logits.getFloat(at));
  }
}
