package org.winnow.cuda;

import java.util.List;
import java.util.Random;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.attention.RopeFrequencies;
import org.winnow.op.Add;
import org.winnow.op.Attention;
import org.winnow.op.AttentionOptions;
import org.winnow.op.Clamp;
import org.winnow.op.DeviceTables;
import org.winnow.op.Embedding;
import org.winnow.op.ExpertPlan;
import org.winnow.op.KvCache;
import org.winnow.op.LayerNorm;
import org.winnow.op.MoeCombine;
import org.winnow.op.RmsNorm;
import org.winnow.op.Rope;
import org.winnow.op.Routing;
import org.winnow.op.Sampler;
import org.winnow.op.StridedCopy;
import org.winnow.op.TopKRouter;

/** The kernels, each at sizes that an interpreter runs in a second, and at those of models. */
final class KernelCases {
  private static final int WIDTH = 2880; // gpt-oss-20b
  private static final int HEAD_DIM = 64;
  private static final int NUM_EXPERTS = 128; // Qwen3-30B-A3B
  private static final int TOP_K = 8;

  private KernelCases() {}

  /** Small cases, whose counts docs/cuda.md holds. */
  static List<Supplier<KernelCase>> counted() {
    String tiles = "rows per expert: 64, 0, 20, 130";
    return List.of(
        () ->
            products(
                GroupedGemmPath.AUTOMATIC,
                "grouped_gemm_gemv",
                DType.F32,
                DType.F32,
                2048,
                768,
                "2 of 4 experts, a row each",
                1,
                0,
                0,
                1),
        () -> tiles(DType.F32, DType.F32, 512, 256, tiles, 64, 0, 20, 130),
        () -> tiles(DType.F32, DType.BF16, 512, 256, tiles, 64, 0, 20, 130),
        () -> tiles(DType.BF16, DType.BF16, 512, 256, tiles, 64, 0, 20, 130),
        () -> attention(1, 1000),
        () -> attention(64, 1000),
        () -> rows(8, "rms_norm_f32", Rows::rmsNorm),
        () -> rows(8, "layer_norm_f32", Rows::layerNorm),
        () -> rows(8, "add_f32", Rows::add),
        () -> rows(8, "clamp_f32", Rows::clamp),
        () -> rows(8, "rope_f32", Rows::rope),
        () -> rows(8, "embedding_bf16", Rows::embedding),
        () -> rows(8, "strided_copy_f32x4", Rows::stridedCopy),
        () -> rows(8, "kv_append_f32x4, kv_append_f32x4", Rows::kvAppend),
        () -> combine(8),
        () -> route(8),
        () -> plan(64, "expert_plan_small"),
        () -> sample(8192));
  }

  /** Cases of the sizes of models, beyond the caches of a device where the operation allows it. */
  static List<Supplier<KernelCase>> ofModels() {
    int rows = 4096;
    String many = "4 experts of OLMoE, 512 rows each";
    return List.of(
        () ->
            products(
                GroupedGemmPath.GEMV,
                "grouped_gemm_gemv",
                DType.F32,
                DType.F32,
                2048,
                1024,
                "8 experts of OLMoE, a row each",
                1,
                1,
                1,
                1,
                1,
                1,
                1,
                1),
        () -> tiles(DType.F32, DType.F32, 2048, 1024, many, 512, 512, 512, 512),
        () -> tiles(DType.F32, DType.BF16, 2048, 1024, many, 512, 512, 512, 512),
        () -> tiles(DType.BF16, DType.BF16, 2048, 1024, many, 512, 512, 512, 512),
        () -> attention(1, 8192),
        () -> attention(512, 2048),
        () -> rows(rows, "rms_norm_f32", Rows::rmsNorm),
        () -> rows(rows, "layer_norm_f32", Rows::layerNorm),
        () -> rows(rows, "add_f32", Rows::add),
        () -> rows(rows, "clamp_f32", Rows::clamp),
        () -> rows(rows, "rope_f32", Rows::rope),
        () -> rows(rows, "embedding_bf16", Rows::embedding),
        () -> rows(rows, "strided_copy_f32x4", Rows::stridedCopy),
        () -> rows(rows, "kv_append_f32x4, kv_append_f32x4", Rows::kvAppend),
        () -> combine(512),
        () -> route(512),
        () -> plan(512, "expert_plan_*"),
        () -> sample(151_936));
  }

  private static KernelCase tiles(
      DType inputType, DType productType, int inputSize, int outputSize, String what, int... rows) {
    String input = inputType == productType ? inputType.toString() : "rounded";
    String kernel = "grouped_gemm_tensor_" + input + "_bf16_gated";
    return products(
        GroupedGemmPath.TILES, kernel, inputType, productType, inputSize, outputSize, what, rows);
  }

  /** Gate and up of experts, bf16 weights. */
  private static KernelCase products(
      GroupedGemmPath path,
      String kernel,
      DType inputType,
      DType productType,
      int inputSize,
      int outputSize,
      String what,
      int... rows) {
    KernelCase one = new KernelCase(path, kernel, what + "; " + inputSize + " to " + outputSize);
    GroupedGemmLayer layer =
        one.keep(
            new GroupedGemmLayer(
                one.backend,
                inputType,
                productType,
                WeightFormat.BF16,
                true,
                inputSize,
                outputSize,
                rows));
    layer.weights.handOver(); // on the device before anything is counted
    for (Matrix gate : layer.gates) one.reading("weights", gate.plane(0));
    for (Matrix up : layer.ups) one.reading("weights", up.plane(0));
    double weights = 2.0 * inputSize * outputSize;
    long active = IntStream.of(rows).filter(r -> r > 0).count();
    int numRows = IntStream.of(rows).sum();
    double hidden = (double) numRows * (inputSize * inputType.sizeBytes() + outputSize * 4.0);
    boolean onTensorCores = path == GroupedGemmPath.TILES;
    // for products in f32, rows are split into three bf16 parts
    double parts = onTensorCores && productType == DType.F32 ? 3 : 1;
    return one.work(active * weights * 2 + hidden, parts * 2 * numRows * weights, onTensorCores)
        .calling(layer::run);
  }

  /** 32 heads of 4 groups, 128 wide. */
  private static KernelCase attention(int numTokens, int numPositions) {
    int kvHeads = 4;
    int heads = 32;
    int width = 128;
    String tokens = numTokens == 1 ? "1 token" : numTokens + " tokens";
    KernelCase one =
        new KernelCase(
            GroupedGemmPath.AUTOMATIC,
            "attention_" + (numTokens == 1 ? 8 : 48) + ", attention_merge",
            tokens + " behind " + (numPositions - numTokens) + "; 32 heads of 4, 128 wide");
    CudaBackend backend = one.backend;
    KvCache cache =
        one.keep(new KvCache(backend.memory(), DType.F32, 1, kvHeads, width, width, numPositions));
    Tensor keys = one.normal(numPositions, kvHeads, width);
    Tensor query = one.normal(numTokens, heads, width);
    Tensor output = one.keep(backend.f32(numTokens, heads, width));
    cache.append(backend, 0, cache.keys(), keys);
    cache.append(backend, 0, cache.values(), keys);
    for (int page = 0; page * KvCache.PAGE_TOKENS < numPositions; page++)
      one.reading("keys, values", DeviceTables.keyPage(cache, page));
    double pairs =
        (double) numTokens * (numPositions - numTokens) + numTokens * (numTokens + 1) / 2.0;
    AttentionOptions options = AttentionOptions.causal(0.1f);
    return one.work(
            2.0 * numPositions * kvHeads * width * 4 + 2.0 * numTokens * heads * width * 4,
            4.0 * pairs * heads * width,
            false)
        .calling(
            () ->
                Attention.run(backend, query, cache, 0, numPositions - numTokens, options, output));
  }

  /** What an operation on rows of {@link #WIDTH} does. */
  private record Rows(KernelCase one, int numRows, Tensor input, Tensor output) {
    private double bytes(double perElement) {
      return perElement * numRows * WIDTH;
    }

    Runnable rmsNorm() {
      Tensor weight = one.normal(WIDTH);
      one.work(bytes(8), bytes(4), false);
      return () -> RmsNorm.run(one.backend, input, weight, output, 1e-6f);
    }

    Runnable layerNorm() {
      Tensor weight = one.normal(WIDTH);
      Tensor bias = one.normal(WIDTH);
      one.work(bytes(8), bytes(7), false);
      return () -> LayerNorm.run(one.backend, input, weight, bias, output, 1e-6f);
    }

    Runnable add() {
      one.work(bytes(12), bytes(1), false);
      return () -> Add.run(one.backend, output, input);
    }

    Runnable clamp() {
      one.work(bytes(8), bytes(2), false);
      return () -> Clamp.run(one.backend, input, 1);
    }

    Runnable rope() {
      Tensor cos = one.keep(one.backend.f32(numRows, HEAD_DIM / 2));
      Tensor sin = one.keep(one.backend.f32(numRows, HEAD_DIM / 2));
      RopeFrequencies.standard(HEAD_DIM, 150_000).angles(1000, cos, sin);
      Tensor heads = one.keep(input.reshape(numRows, WIDTH / HEAD_DIM, HEAD_DIM));
      one.work(bytes(8), bytes(3), false);
      return () -> Rope.run(one.backend, heads, cos, sin, 0, Rope.Layout.HALF_SPLIT);
    }

    Runnable embedding() {
      Tensor table = one.keep(one.backend.allocate(DType.BF16, numRows, WIDTH).fill(1));
      int[] ids = new Random(1).ints(numRows, 0, numRows).toArray();
      Tensor tokenIds = one.keep(one.backend.of(ids, numRows));
      one.read().clear();
      one.reading("table", table).work(bytes(2 + 4), 0, false);
      return () -> Embedding.run(one.backend, table, tokenIds, output);
    }

    /** From tokens first to heads first. */
    Runnable stridedCopy() {
      long outer = (long) numRows * HEAD_DIM;
      int heads = WIDTH / HEAD_DIM;
      one.work(bytes(8), 0, false);
      return () ->
          StridedCopy.run(
              one.backend,
              input,
              0,
              WIDTH,
              HEAD_DIM,
              output,
              0,
              HEAD_DIM,
              outer,
              numRows,
              heads,
              HEAD_DIM);
    }

    Runnable kvAppend() {
      int heads = WIDTH / HEAD_DIM;
      KvCache cache =
          one.keep(
              new KvCache(one.backend.memory(), DType.F32, 1, heads, HEAD_DIM, HEAD_DIM, numRows));
      Tensor keys = one.keep(input.reshape(numRows, heads, HEAD_DIM));
      Tensor values = one.normal(numRows, heads, HEAD_DIM);
      cache.reserve(numRows);
      one.reading("rows", values).work(bytes(16), 0, false);
      return () -> {
        cache.append(one.backend, 0, cache.keys(), keys);
        cache.append(one.backend, 0, cache.values(), values);
      };
    }
  }

  private interface RowsOperation {
    Runnable of(Rows rows);
  }

  private static KernelCase rows(int numRows, String kernel, RowsOperation operation) {
    KernelCase one =
        new KernelCase(GroupedGemmPath.AUTOMATIC, kernel, numRows + " rows of " + WIDTH);
    Tensor input = one.normal(numRows, WIDTH);
    Tensor output = one.keep(one.backend.f32(numRows, WIDTH).fill(0));
    one.reading("rows", input);
    return one.calling(operation.of(new Rows(one, numRows, input, output)));
  }

  private static Routing routing(KernelCase one, int numTokens) {
    Routing routing = one.keep(new Routing(one.backend.memory()));
    Random random = new Random(42);
    int[] offsets = new int[numTokens + 1];
    int[] ids = new int[numTokens * TOP_K];
    float[] weights = new float[ids.length];
    for (int t = 0; t < numTokens; t++) {
      offsets[t + 1] = (t + 1) * TOP_K;
      int[] chosen = random.ints(0, NUM_EXPERTS).distinct().limit(TOP_K).toArray();
      System.arraycopy(chosen, 0, ids, t * TOP_K, TOP_K);
    }
    java.util.Arrays.fill(weights, 1f / TOP_K);
    routing.set(offsets, ids, weights);
    return routing;
  }

  private static String tokens(int numTokens) {
    return numTokens + " tokens, " + TOP_K + " of " + NUM_EXPERTS + " experts";
  }

  private static KernelCase combine(int numTokens) {
    int width = 2048;
    KernelCase one =
        new KernelCase(
            GroupedGemmPath.AUTOMATIC,
            "moe_combine_f32",
            tokens(numTokens) + ", " + width + " wide");
    Routing routing = routing(one, numTokens);
    ExpertPlan plan = one.keep(new ExpertPlan(one.backend.memory()));
    plan.build(one.backend, routing, NUM_EXPERTS);
    Tensor expertOutput = one.normal((long) numTokens * TOP_K, width);
    Tensor output = one.keep(one.backend.f32(numTokens, width));
    double elements = (double) numTokens * width;
    return one.reading("rows", expertOutput)
        .work(elements * 4 * (TOP_K + 1), elements * 2 * TOP_K, false)
        .calling(
            () -> MoeCombine.run(one.backend, expertOutput, routing, plan, null, null, output));
  }

  private static KernelCase route(int numTokens) {
    KernelCase one =
        new KernelCase(GroupedGemmPath.AUTOMATIC, "top_k_router_fixed", tokens(numTokens));
    Tensor logits = one.normal(numTokens, NUM_EXPERTS);
    Routing output = one.keep(new Routing(one.backend.memory()));
    TopKRouter router = TopKRouter.softmax(TOP_K).build();
    return one.reading("logits", logits)
        .work(4.0 * numTokens * (NUM_EXPERTS + 2 * TOP_K), 0, false)
        .calling(() -> router.run(one.backend, logits, output));
  }

  private static KernelCase plan(int numTokens, String kernels) {
    KernelCase one = new KernelCase(GroupedGemmPath.AUTOMATIC, kernels, tokens(numTokens));
    Routing routing = routing(one, numTokens);
    ExpertPlan plan = one.keep(new ExpertPlan(one.backend.memory()));
    return one.reading("choices", routing.expertIds())
        .work(4.0 * numTokens * TOP_K * 3, 0, false)
        .calling(() -> plan.build(one.backend, routing, NUM_EXPERTS));
  }

  /** One token, greedily; it comes to the host. */
  private static KernelCase sample(int vocabulary) {
    KernelCase one =
        new KernelCase(
            GroupedGemmPath.AUTOMATIC,
            "sampler_survey, sampler_choose",
            "greedy, of " + vocabulary);
    Tensor logits = one.normal(vocabulary);
    return one.reading("logits", logits)
        .work(4.0 * vocabulary, 0, false)
        .calling(() -> Sampler.greedy().sample(one.backend, logits));
  }
}
