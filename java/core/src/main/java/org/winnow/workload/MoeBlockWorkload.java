package org.winnow.workload;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * A whole mixture-of-experts layer, router to combine, all experts in memory; SiLU whatever the
 * model has. Runs take turns with different tokens, so that a token's experts have left the caches
 * before it comes again. If a layer is so small that caches hold it, runs take turns with several
 * layers too.
 */
public final class MoeBlockWorkload extends Workload {
  private static final int NUM_BATCHES = 8;
  private static final long LEAST_BYTES = 256L << 20; // of all layers, where the pool has them
  private static final int NUM_CHECKED = 16;

  private final Backend backend;
  private final MoeShape model;
  private final WeightPool pool;
  private final int topK;
  private final Tensor router; // [numExperts, hiddenSize]
  private final Tensor[] batches = new Tensor[NUM_BATCHES];
  private final Tensor output;
  private final int[][] places; // [layer][expert]
  private final MoeLayer[] layers;
  private int runs;

  /**
   * @param pool in the backend's memory; not closed here. Where it has fewer places than the layer
   *     has experts, several share one
   */
  public MoeBlockWorkload(Backend backend, MoeShape model, WeightPool pool, int numTokens) {
    this(backend, "MoE block", model, pool, numTokens, model.topK());
  }

  /** The dense baseline: the same layer, but every token goes through every expert. */
  public static MoeBlockWorkload dense(
      Backend backend, MoeShape model, WeightPool pool, int numTokens) {
    return new MoeBlockWorkload(backend, "dense block", model, pool, numTokens, model.numExperts());
  }

  private MoeBlockWorkload(
      Backend backend, String operation, MoeShape model, WeightPool pool, int numTokens, int topK) {
    super(operation, model.model(), pool.type(), numTokens);
    this.backend = backend;
    this.model = model;
    this.pool = pool;
    this.topK = topK;
    router = keep(pool.router(model));
    Linear scores = keep(new Linear(router, null));
    TopKRouter rule = TopKRouter.softmax(topK).build();
    places = places();
    layers = new MoeLayer[places.length];
    for (int i = 0; i < layers.length; i++)
      layers[i] =
          keep(MoeLayer.builder(scores, rule, keep(pool.experts(model, places[i]))).build());
    for (int i = 0; i < NUM_BATCHES; i++)
      batches[i] =
          keep(
              NormalValues.fill(
                  Tensor.allocate(pool.memory(), pool.hiddenType(), numTokens, model.hiddenSize()),
                  new Random(7 + i),
                  1));
    output = keep(Tensor.allocate(pool.memory(), pool.hiddenType(), numTokens, model.hiddenSize()));
  }

  private int[][] places() {
    int numExperts = model.numExperts();
    int numPlaces = pool.numPlaces(model);
    long layerBytes = numExperts * model.expertElements() * type().sizeBytes();
    int numLayers = (int) Math.max(1, Math.min(LEAST_BYTES / layerBytes, numPlaces / numExperts));
    int[][] places = new int[numLayers][numExperts];
    for (int i = 0; i < numLayers * numExperts; i++)
      places[i / numExperts][i % numExperts] = i % numPlaces;
    return places;
  }

  @Override
  public void run() {
    layers[runs % layers.length].forward(backend, batches[runs % NUM_BATCHES], output);
    runs++;
  }

  @Override
  public Tensor output() {
    return output;
  }

  private int lastLayer() {
    return (runs - 1) % layers.length;
  }

  /** Checks the first and the last token: which experts they went to, and random elements. */
  @Override
  public void check() {
    Random random = new Random(1);
    for (int token = 0; token < numTokens(); token += Math.max(1, numTokens() - 1))
      check(token, random);
  }

  private void check(int token, Random random) {
    float[] x = NormalValues.read(batches[(runs - 1) % NUM_BATCHES].slice(token, token + 1L));
    Exact[] logits = multiply(x, NormalValues.read(router));
    int[] chosen = chosen(token);
    requireBest(token, chosen, logits);
    int[] columns = new int[NUM_CHECKED];
    for (int i = 0; i < NUM_CHECKED; i++) columns[i] = random.nextInt(model.hiddenSize());
    Exact[] sums = new Exact[NUM_CHECKED];
    Arrays.fill(sums, new Exact(0, 0));
    double mass = 0;
    double logitDeviation = 0;
    for (int e : chosen) {
      mass += Math.exp(logits[e].value());
      logitDeviation = Math.max(logitDeviation, logits[e].deviation());
    }
    for (int e : chosen) {
      WeightPool.Expert expert = pool.expert(model, places[lastLayer()][e]);
      double weight = Math.exp(logits[e].value()) / mass;
      Exact[] inner = inner(x, expert);
      for (int i = 0; i < NUM_CHECKED; i++) {
        float[] row = pool.row(expert.down(), columns[i]);
        sums[i] = sums[i].plus(weight, 2 * logitDeviation + 4 * Exact.U, Exact.dot(inner, row));
      }
    }
    for (int i = 0; i < NUM_CHECKED; i++)
      requireNear(
          "element " + columns[i] + " of token " + token,
          sums[i].roundedTo(output.dtype()),
          output.getFloat((long) token * model.hiddenSize() + columns[i]));
  }

  /** Best first. */
  private int[] chosen(int token) {
    Routing routing = layers[lastLayer()].routing();
    int begin = routing.tokenOffsets().getInt(token);
    int end = routing.tokenOffsets().getInt(token + 1L);
    if (end - begin != topK)
      throw wrong("token " + token + ": expected " + topK + " experts, found " + (end - begin));
    return routing.expertIds().slice(begin, end).toIntArray();
  }

  /**
   * Checks that no expert that was left out is better than a chosen one, and that none was chosen
   * twice.
   */
  private void requireBest(int token, int[] chosen, Exact[] logits) {
    BitSet isChosen = new BitSet();
    double least = Double.POSITIVE_INFINITY;
    for (int e : chosen) {
      isChosen.set(e);
      least = Math.min(least, logits[e].value() + logits[e].bound());
    }
    if (isChosen.cardinality() != topK)
      throw wrong("token " + token + ": an expert was chosen twice: " + Arrays.toString(chosen));
    for (int e = 0; e < logits.length; e++) {
      if (!isChosen.get(e) && !(logits[e].value() - logits[e].bound() <= least))
        throw wrong(
            "token " + token + ": expected expert " + e + ", found " + Arrays.toString(chosen));
    }
  }

  private Exact[] inner(float[] x, WeightPool.Expert expert) {
    Exact[] gate = multiply(x, pool.rows(expert.gate()));
    Exact[] up = multiply(x, pool.rows(expert.up()));
    for (int n = 0; n < gate.length; n++)
      gate[n] = Exact.siluTimes(gate[n], up[n]).roundedTo(pool.hiddenType());
    return gate;
  }

  private static Exact[] multiply(float[] x, float[] weights) {
    Exact[] products = new Exact[weights.length / x.length];
    for (int n = 0; n < products.length; n++) products[n] = Exact.dot(x, weights, n * x.length);
    return products;
  }

  /** Experts that share a place are read once. On a device this waits for the run. */
  @Override
  public Work work() {
    Routing routing = layers[lastLayer()].routing();
    BitSet read = new BitSet();
    for (int e : routing.expertIds().slice(0, routing.numRows()).toIntArray())
      read.set(places[lastLayer()][e]);
    return model.layer(type(), numTokens(), routing.numRows(), read.cardinality());
  }

  @Override
  public Work denseWork() {
    return model.denseLayer(type(), numTokens());
  }
}
