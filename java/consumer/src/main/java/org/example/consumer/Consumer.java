package org.example.consumer;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Random;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.layer.Linear;
import org.winnow.moe.MoeLayer;
import org.winnow.moe.ResidentExperts;
import org.winnow.op.TopKRouter;

/** Runs a mixture-of-experts layer over buffers of its own and computes the same in plain Java. */
public final class Consumer {
  private static final int TOKENS = 5;
  private static final int EXPERTS = 8;
  private static final int TOP_K = 2;
  private static final int HIDDEN = 16;
  private static final int INTERMEDIATE = 24;

  private final Random random = new Random(42);
  private final ByteBuffer hidden = random(TOKENS * HIDDEN);
  private final ByteBuffer router = random(EXPERTS * HIDDEN);
  private final ByteBuffer gate = random(EXPERTS * INTERMEDIATE * HIDDEN);
  private final ByteBuffer up = random(EXPERTS * INTERMEDIATE * HIDDEN);
  private final ByteBuffer down = random(EXPERTS * HIDDEN * INTERMEDIATE);
  private final ByteBuffer output = random(TOKENS * HIDDEN);

  public static void main(String[] args) {
    Consumer consumer = new Consumer();
    consumer.forward();
    consumer.check();
    System.out.println(
        "consumer: right result, "
            + (Consumer.class.getModule().isNamed() ? "module path" : "class path"));
  }

  private ByteBuffer random(int elements) {
    ByteBuffer memory =
        ByteBuffer.allocateDirect(elements * Float.BYTES).order(ByteOrder.nativeOrder());
    FloatBuffer values = memory.asFloatBuffer();
    for (int i = 0; i < elements; i++) values.put(i, (float) random.nextGaussian());
    return memory;
  }

  private void forward() {
    try (Backend backend = Backend.require("cpu");
        Tensor hiddenTensor = Tensor.wrap(hidden, DType.F32, TOKENS, HIDDEN);
        Tensor routerTensor = Tensor.wrap(router, DType.F32, EXPERTS, HIDDEN);
        Tensor gateTensor = Tensor.wrap(gate, DType.F32, EXPERTS, INTERMEDIATE, HIDDEN);
        Tensor upTensor = Tensor.wrap(up, DType.F32, EXPERTS, INTERMEDIATE, HIDDEN);
        Tensor downTensor = Tensor.wrap(down, DType.F32, EXPERTS, HIDDEN, INTERMEDIATE);
        Tensor outputTensor = Tensor.wrap(output, DType.F32, TOKENS, HIDDEN);
        Linear routerLinear = new Linear(routerTensor, null);
        ResidentExperts experts = ResidentExperts.stacked(gateTensor, upTensor, downTensor);
        MoeLayer layer =
            MoeLayer.builder(routerLinear, TopKRouter.softmax(TOP_K).build(), experts).build()) {
      layer.forward(backend, hiddenTensor, outputTensor);
    }
  }

  private void check() {
    for (int token = 0; token < TOKENS; token++) {
      double[] expected = expected(token);
      for (int i = 0; i < HIDDEN; i++) {
        float found = output.asFloatBuffer().get(token * HIDDEN + i);
        // Sums of 16 and 24 products in f32 lose at most 24 * 2^-24 of their magnitude each; that
        // is below 1e-5 here.
        if (!(Math.abs(found - expected[i]) <= 1e-5 * (1 + Math.abs(expected[i])))) {
          throw new AssertionError(
              "token "
                  + token
                  + ", element "
                  + i
                  + ": expected "
                  + expected[i]
                  + ", found "
                  + found);
        }
      }
    }
  }

  /** Every expert's output, weighted with its share of the softmax over the chosen ones. */
  private double[] expected(int token) {
    double[] weight = new double[EXPERTS];
    double sum = 0;
    for (int e = 0; e < EXPERTS; e++) {
      double logit = dot(router, e, hidden, token, HIDDEN);
      int better = 0;
      for (int other = 0; other < EXPERTS; other++) {
        if (dot(router, other, hidden, token, HIDDEN) > logit) better++;
      }
      if (better < TOP_K) weight[e] = Math.exp(logit);
      sum += weight[e];
    }
    double[] result = new double[HIDDEN];
    for (int e = 0; e < EXPERTS; e++) {
      for (int j = 0; j < INTERMEDIATE; j++) {
        double g = dot(gate, e * INTERMEDIATE + j, hidden, token, HIDDEN);
        double inner =
            g / (1 + Math.exp(-g)) * dot(up, e * INTERMEDIATE + j, hidden, token, HIDDEN);
        for (int i = 0; i < HIDDEN; i++) {
          result[i] +=
              weight[e]
                  / sum
                  * inner
                  * down.asFloatBuffer().get((e * HIDDEN + i) * INTERMEDIATE + j);
        }
      }
    }
    return result;
  }

  private static double dot(ByteBuffer a, int rowOfA, ByteBuffer b, int rowOfB, int length) {
    double sum = 0;
    for (int i = 0; i < length; i++) {
      sum +=
          (double) a.asFloatBuffer().get(rowOfA * length + i)
              * b.asFloatBuffer().get(rowOfB * length + i);
    }
    return sum;
  }
}
