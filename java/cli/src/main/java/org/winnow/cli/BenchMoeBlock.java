package org.winnow.cli;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.BitSet;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Float16;
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.Routing;
import org.winnow.op.TopKRouter;

/**
 * A whole mixture-of-experts layer, router to combine, over random weights in memory; hidden states
 * are of the weights' type.
 */
final class BenchMoeBlock implements BenchOperation {
  // run in turn, so that one token's experts have left the caches before they are wanted again
  private static final int NUM_BATCHES = 8;
  // elements of the random numbers that all weights are cut from
  private static final int PATTERN = 1 << 20;

  /** The weights of a layer, which serve every number of tokens. */
  static final class Weights implements AutoCloseable {
    private final BenchShape shape;
    private final DType type;
    private final int numStored;
    private final Tensor[] gate;
    private final Tensor[] up;
    private final Tensor[] down;
    private final Tensor routerWeight;
    private final Linear router;
    private final ResidentExperts experts;

    /**
     * @param maxBytes of memory; where all experts take more, several share one's weights, still
     *     more than caches hold
     */
    Weights(BenchShape shape, DType type, long maxBytes) {
      this.shape = shape;
      this.type = type;
      numStored =
          (int)
              Math.max(
                  1,
                  Math.min(
                      shape.numExperts, maxBytes / (shape.expertParameters() * type.sizeBytes())));
      Random random = new Random(42);
      byte[] pattern = pattern(type, random, 1 / Math.sqrt(shape.hiddenSize));
      gate = stored(pattern, random, shape.intermediateSize, shape.hiddenSize);
      up = stored(pattern, random, shape.intermediateSize, shape.hiddenSize);
      down = stored(pattern, random, shape.hiddenSize, shape.intermediateSize);
      routerWeight = cut(pattern, random, shape.numExperts, shape.hiddenSize);
      router = new Linear(routerWeight, null);
      experts = new ResidentExperts(gate, up, down);
    }

    private Tensor[] stored(byte[] pattern, Random random, long rows, long columns) {
      Tensor[] tensors = new Tensor[shape.numExperts];
      for (int e = 0; e < tensors.length; e++)
        tensors[e] = e < numStored ? cut(pattern, random, rows, columns) : tensors[e % numStored];
      return tensors;
    }

    private Tensor cut(byte[] pattern, Random random, long rows, long columns) {
      Tensor tensor = Tensor.allocate(type, rows, columns);
      ByteBuffer bytes = tensor.asByteBuffer();
      int begin = random.nextInt(PATTERN) * type.sizeBytes();
      while (bytes.hasRemaining()) {
        int length = Math.min(bytes.remaining(), pattern.length - begin);
        bytes.put(pattern, begin, length);
        begin = 0;
      }
      return tensor;
    }

    @Override
    public void close() {
      experts.close();
      router.close();
      routerWeight.close();
      for (Tensor[] tensors : new Tensor[][] {gate, up, down}) {
        for (int e = 0; e < numStored; e++) tensors[e].close();
      }
    }
  }

  private final Backend backend;
  private final Weights weights;
  private final int tokens;
  private final MoeLayer layer;
  private final Tensor hidden;
  private final Tensor[] batches = new Tensor[NUM_BATCHES];
  private final Tensor output;
  private int runs;

  BenchMoeBlock(Backend backend, Weights weights, int tokens) {
    this.backend = backend;
    this.weights = weights;
    this.tokens = tokens;
    layer =
        MoeLayer.builder(
                weights.router, TopKRouter.softmax(weights.shape.topK).build(), weights.experts)
            .build();
    hidden =
        weights.cut(
            pattern(weights.type, new Random(7), 1),
            new Random(8),
            (long) NUM_BATCHES * tokens,
            weights.shape.hiddenSize);
    for (int i = 0; i < NUM_BATCHES; i++)
      batches[i] = hidden.slice((long) i * tokens, (i + 1L) * tokens);
    output = Tensor.allocate(weights.type, tokens, weights.shape.hiddenSize);
  }

  /** Uniform in plus or minus {@code scale}. */
  private static byte[] pattern(DType type, Random random, double scale) {
    ByteBuffer bytes =
        ByteBuffer.allocate(PATTERN * type.sizeBytes()).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < PATTERN; i++) {
      float value = (float) (scale * (2 * random.nextDouble() - 1));
      if (type == DType.BF16) bytes.putShort(Float16.toBf16(value));
      else bytes.putFloat(value);
    }
    return bytes.array();
  }

  @Override
  public Work run() {
    layer.forward(backend, batches[runs++ % NUM_BATCHES], output);
    Routing routing = layer.routing();
    BitSet distinct = new BitSet();
    for (int p = 0; p < routing.numRows(); p++)
      distinct.set(routing.expertIds().getInt(p) % weights.numStored);
    BenchShape shape = weights.shape;
    double routerParameters = (double) shape.hiddenSize * shape.numExperts;
    double bytes =
        ((double) distinct.cardinality() * shape.expertParameters() + routerParameters)
            * weights.type.sizeBytes();
    return new Work(
        bytes,
        2.0 * routing.numRows() * shape.expertParameters() + 2.0 * tokens * routerParameters);
  }

  /** The last token, at four elements: its experts one by one, in double precision. */
  @Override
  public @Nullable String check() {
    BenchShape shape = weights.shape;
    Routing routing = layer.routing();
    float[] x = batches[(runs - 1) % NUM_BATCHES].slice(tokens - 1, tokens).toFloatArray();
    int[] elements = {0, shape.hiddenSize / 3, shape.hiddenSize / 2, shape.hiddenSize - 1};
    double[] sums = new double[elements.length];
    double[] magnitudes = new double[elements.length];
    for (int p = routing.tokenOffsets().getInt(tokens - 1);
        p < routing.tokenOffsets().getInt(tokens);
        p++) {
      int expert = routing.expertIds().getInt(p);
      double weight = routing.routingWeights().getFloat(p);
      double[] inner = inner(x, floats(weights.gate[expert]), floats(weights.up[expert]));
      for (int i = 0; i < elements.length; i++) {
        float[] row = weights.down[expert].slice(elements[i], elements[i] + 1L).toFloatArray();
        for (int j = 0; j < row.length; j++) {
          sums[i] += weight * row[j] * inner[j];
          magnitudes[i] += Math.abs(weight * row[j] * inner[j]);
        }
      }
    }
    // The inner layer is rounded to the type (2^-9 for bf16), and each of its elements has errors
    // of its sums.
    double unit =
        weights.type == DType.BF16 ? 0x1p-8 : (shape.hiddenSize + shape.intermediateSize) * 0x1p-24;
    for (int i = 0; i < elements.length; i++) {
      double found = output.getFloat((tokens - 1L) * shape.hiddenSize + elements[i]);
      if (!(Math.abs(found - sums[i]) <= unit * (magnitudes[i] + Math.abs(sums[i])))) {
        return "element "
            + elements[i]
            + " of the last token: expected "
            + sums[i]
            + ", found "
            + found;
      }
    }
    return null;
  }

  /** As {@link Tensor#toFloatArray}, at the speed that tens of millions of elements need. */
  private static float[] floats(Tensor tensor) {
    if (tensor.dtype() == DType.F32) return tensor.toFloatArray();
    short[] bits = new short[Math.toIntExact(tensor.size())];
    tensor.asByteBuffer().asShortBuffer().get(bits);
    float[] values = new float[bits.length];
    for (int i = 0; i < bits.length; i++) values[i] = Float16.fromBf16(bits[i]);
    return values;
  }

  private double[] inner(float[] x, float[] gate, float[] up) {
    double[] inner = new double[weights.shape.intermediateSize];
    for (int j = 0; j < inner.length; j++) {
      double g = 0;
      double u = 0;
      for (int i = 0; i < x.length; i++) {
        g += (double) x[i] * gate[j * x.length + i];
        u += (double) x[i] * up[j * x.length + i];
      }
      inner[j] = g / (1 + Math.exp(-g)) * u;
    }
    return inner;
  }

  @Override
  public DType type() {
    return weights.type;
  }

  @Override
  public String operation() {
    return "MoE block";
  }

  @Override
  public String shape() {
    return weights.shape.model;
  }

  @Override
  public int tokens() {
    return tokens;
  }

  @Override
  public void close() {
    layer.close();
    hidden.close();
    output.close();
  }
}
