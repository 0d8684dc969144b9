package org.winnow.moe;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.Tensor;
import org.winnow.layer.FeedForward;
import org.winnow.layer.Linear;
import org.winnow.op.Activation;
import org.winnow.op.TopKRouter;

/**
 * A MoE layer with random weights (softmax router, renormalised; gated SiLU experts), and the exact
 * answer for one element with a bound for f32.
 */
public final class MoeLayerProblem implements AutoCloseable {
  private static final double U = 0x1p-24; // unit roundoff of f32
  private static final float[] POOL = pool();

  private final Backend backend;
  public final int numTokens;
  public final int numExperts;
  public final int topK;
  public final int hiddenSize;
  public final int intermediateSize;
  private final List<AutoCloseable> resources = new ArrayList<>();
  private final Tensor routerWeight;
  private final Tensor[] gate;
  private final Tensor[] up;
  private final Tensor[] down;
  private final Tensor[] sharedWeights = new Tensor[4]; // gate, up, down, gate of the block
  public final Tensor hidden;
  public final Tensor output;
  public final Linear router;
  public final ResidentExperts experts;
  public final FeedForward shared;
  public final Linear sharedGate;

  /**
   * @param weightType of all weights
   * @param hiddenType of hidden, output and the inner layer
   */
  public MoeLayerProblem(
      Backend backend,
      Random random,
      int numTokens,
      int numExperts,
      int topK,
      int hiddenSize,
      int intermediateSize,
      DType weightType,
      DType hiddenType) {
    this.backend = backend;
    this.numTokens = numTokens;
    this.numExperts = numExperts;
    this.topK = topK;
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
    routerWeight = random(random, weightType, numExperts, hiddenSize);
    gate =
        IntStream.range(0, numExperts)
            .mapToObj(e -> random(random, weightType, intermediateSize, hiddenSize))
            .toArray(Tensor[]::new);
    up =
        IntStream.range(0, numExperts)
            .mapToObj(e -> random(random, weightType, intermediateSize, hiddenSize))
            .toArray(Tensor[]::new);
    down =
        IntStream.range(0, numExperts)
            .mapToObj(e -> random(random, weightType, hiddenSize, intermediateSize))
            .toArray(Tensor[]::new);
    sharedWeights[0] = random(random, weightType, intermediateSize, hiddenSize);
    sharedWeights[1] = random(random, weightType, intermediateSize, hiddenSize);
    sharedWeights[2] = random(random, weightType, hiddenSize, intermediateSize);
    sharedWeights[3] = random(random, weightType, 1, hiddenSize);
    hidden = random(random, hiddenType, numTokens, hiddenSize);
    float[] scaled = hidden.toFloatArray();
    for (int i = 0; i < scaled.length; i++) scaled[i] *= (float) Math.sqrt(hiddenSize);
    hidden.copyFrom(scaled);
    output = keep(backend.allocate(hiddenType, numTokens, hiddenSize));
    router = keep(new Linear(routerWeight, null));
    experts = keep(new ResidentExperts(gate, up, down));
    Linear sharedGateUp = keep(new Linear(sharedWeights[0], null));
    shared =
        keep(
            new FeedForward(
                sharedGateUp,
                keep(new Linear(sharedWeights[1], null)),
                keep(new Linear(sharedWeights[2], null)),
                Activation.SILU));
    sharedGate = keep(new Linear(sharedWeights[3], null));
  }

  /** A layer over these weights. */
  public MoeLayer.Builder layer(Experts source) {
    return MoeLayer.builder(router, TopKRouter.softmax(topK).build(), source);
  }

  /**
   * The value of an element in double precision, one token at a time, and how far f32 arithmetic
   * may be from it.
   */
  public record Exact(double value, double bound) {}

  /**
   * @param sharedExperts 0: none, 1: in full, 2: times the sigmoid of their gate
   */
  public Exact[] exact(int token, int sharedExperts) {
    double[] x = row(hidden, token);
    Exact[] logits = product(x, new double[hiddenSize], routerWeight);
    Integer[] order =
        IntStream.range(0, numExperts)
            .boxed()
            .sorted(Comparator.comparingDouble(e -> -logits[e].value))
            .toArray(Integer[]::new);
    double sum = 0;
    double logitBound = 0;
    for (int slot = 0; slot < topK; slot++) {
      sum += Math.exp(logits[order[slot]].value);
      logitBound = Math.max(logitBound, logits[order[slot]].bound);
    }
    double[] value = new double[hiddenSize];
    double[] bound = new double[hiddenSize];
    for (int slot = 0; slot < topK; slot++) {
      int e = order[slot];
      add(
          value,
          bound,
          Math.exp(logits[e].value) / sum,
          2 * logitBound + 4 * U,
          feedForward(x, gate[e], up[e], down[e]));
    }
    if (sharedExperts > 0) {
      Exact logit = product(x, new double[hiddenSize], sharedWeights[3])[0];
      double weight = sharedExperts == 1 ? 1 : 1 / (1 + Math.exp(-logit.value));
      add(
          value,
          bound,
          weight,
          sharedExperts == 1 ? 0 : logit.bound + 4 * U,
          feedForward(x, sharedWeights[0], sharedWeights[1], sharedWeights[2]));
    }
    Exact[] result = new Exact[hiddenSize];
    for (int i = 0; i < hiddenSize; i++) {
      double total = bound[i];
      if (output.dtype() == DType.BF16) total += 0x1p-8 * (Math.abs(value[i]) + total);
      result[i] = new Exact(value[i], total);
    }
    return result;
  }

  /** Throws AssertionError if an element of some tokens of the output is not within its bound. */
  public void assertCorrect(int sharedExperts, int everyTokens) {
    float[] found = output.toFloatArray();
    for (int t = 0; t < numTokens; t += everyTokens) assertCorrect(found, t, sharedExperts);
  }

  /** Of so many tokens at the beginning. */
  public void assertFirstCorrect(int sharedExperts, int count) {
    float[] found = output.toFloatArray();
    for (int t = 0; t < count; t++) assertCorrect(found, t, sharedExperts);
  }

  private void assertCorrect(float[] found, int t, int sharedExperts) {
    Exact[] exact = exact(t, sharedExperts);
    for (int i = 0; i < hiddenSize; i++) {
      double error = Math.abs(found[t * hiddenSize + i] - exact[i].value);
      if (!(error <= exact[i].bound)) {
        throw new AssertionError(
            "token "
                + t
                + ", element "
                + i
                + ": error "
                + error
                + ", bound "
                + exact[i].bound
                + ", value "
                + exact[i].value);
      }
    }
  }

  @Override
  public void close() {
    for (int i = resources.size() - 1; i >= 0; i--) {
      try {
        resources.get(i).close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }

  private static void add(
      double[] value, double[] bound, double weight, double weightError, Exact[] part) {
    for (int i = 0; i < value.length; i++) {
      double term = weight * part[i].value;
      value[i] += term;
      // the weight's error, the part's, and the roundings of one product and the sums it goes
      // through
      bound[i] +=
          Math.abs(term) * (weightError + 16 * U) + weight * part[i].bound * (1 + weightError);
    }
  }

  private Exact[] feedForward(double[] x, Tensor gateWeight, Tensor upWeight, Tensor downWeight) {
    double[] none = new double[hiddenSize];
    Exact[] g = product(x, none, gateWeight);
    Exact[] u = product(x, none, upWeight);
    double[] inner = new double[intermediateSize];
    double[] innerBound = new double[intermediateSize];
    for (int n = 0; n < intermediateSize; n++) {
      double silu = g[n].value / (1 + Math.exp(-g[n].value));
      inner[n] = silu * u[n].value;
      // |silu'| <= 1.1; a few roundings of the activation
      innerBound[n] =
          1.1 * g[n].bound * (Math.abs(u[n].value) + u[n].bound)
              + Math.abs(silu) * u[n].bound
              + 16 * U * Math.abs(inner[n]);
      if (hidden.dtype() == DType.BF16)
        innerBound[n] += 0x1p-8 * (Math.abs(inner[n]) + innerBound[n]);
    }
    return product(inner, innerBound, downWeight);
  }

  /**
   * weight * x for inputs with an error of inputBound, summed from the last element to the first.
   */
  private static Exact[] product(double[] x, double[] inputBound, Tensor weight) {
    int columns = x.length;
    float[] weights = weight.toFloatArray();
    Exact[] result = new Exact[(int) weight.dim(0)];
    for (int n = 0; n < result.length; n++) {
      double sum = 0;
      double magnitude = 0;
      double bound = 0;
      for (int k = columns - 1; k >= 0; k--) {
        double w = weights[n * columns + k];
        sum += w * x[k];
        magnitude += Math.abs(w) * (Math.abs(x[k]) + inputBound[k]);
        bound += Math.abs(w) * inputBound[k];
      }
      result[n] = new Exact(sum, bound + (columns + 2) * U * magnitude);
    }
    return result;
  }

  private static double[] row(Tensor tensor, int row) {
    float[] elements = tensor.slice(row, row + 1).toFloatArray();
    double[] values = new double[elements.length];
    for (int i = 0; i < values.length; i++) values[i] = elements[i];
    return values;
  }

  /**
   * Normal values, scaled so that a product with a normal vector is normal: a stretch of POOL from
   * a random place on.
   */
  private Tensor random(Random random, DType type, long rows, long columns) {
    Tensor tensor = Tensor.allocate(type, rows, columns);
    ByteBuffer bytes = tensor.asByteBuffer();
    float scale = (float) (1 / Math.sqrt(columns));
    int place = random.nextInt(POOL.length);
    for (int i = 0; i < tensor.size(); i++) {
      float value = POOL[place] * scale;
      switch (type) {
        case F32 -> bytes.putFloat(4 * i, value);
        case BF16 -> bytes.putShort(2 * i, Float16.toBf16(value));
        default -> bytes.putShort(2 * i, Float16.toF16(value));
      }
      if (++place == POOL.length) place = 0;
    }
    if (backend.memory().isHost()) return keep(tensor);
    try (tensor) {
      return keep(backend.copyOf(tensor));
    }
  }

  private static float[] pool() {
    Random random = new Random(99);
    float[] pool = new float[65537]; // a prime: no two rows of a matrix are equal
    for (int i = 0; i < pool.length; i++) pool[i] = (float) random.nextGaussian();
    return pool;
  }

  private <T extends AutoCloseable> T keep(T resource) {
    resources.add(resource);
    return resource;
  }
}
