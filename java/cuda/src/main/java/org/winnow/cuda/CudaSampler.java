package org.winnow.cuda;

import org.winnow.Tensor;

/** Launches sampler_cuda.cu: the best logit, the weights, then one block that chooses. */
final class CudaSampler {
  private static final int SURVEY_BLOCK = 256;
  private static final int LOGITS_PER_BLOCK = 2048;
  private static final int MAX_BLOCKS = 1024;
  private static final int CHOOSE_BLOCK = 1024;
  private static final int SURVEY_BYTES = 2 * Long.BYTES; // Survey

  private final Kernel survey;
  private final Kernel weigh;
  private final Kernel choose;
  private final LateRefusals late; // with the token
  private final Scratch scratch; // [blocks] Survey, then [vocabularySize] u64 weights

  CudaSampler(CudaContext context, CudaMemory memory, LateRefusals late) {
    survey = context.kernel("sampler", "sampler_survey");
    weigh = context.kernel("sampler", "sampler_weigh");
    choose = context.kernel("sampler", "sampler_choose");
    this.late = late;
    scratch = new Scratch(context, memory);
  }

  /** Returns what {@code Backend.sample} does; throws what was refused since the last call. */
  long launch(
      CudaStream stream, Tensor logits, double temperature, int topK, double topP, double uniform) {
    long size = logits.dim(0);
    int blocks = (int) Math.min((size + LOGITS_PER_BLOCK - 1) / LOGITS_PER_BLOCK, MAX_BLOCKS);
    long surveys =
        scratch.address((long) blocks * SURVEY_BYTES + (temperature == 0 ? 0 : size * Long.BYTES));
    KernelArguments arguments =
        stream
            .arguments()
            .begin()
            .address(logits.address())
            .address(surveys + (long) blocks * SURVEY_BYTES)
            .address(surveys)
            .address(late.tokenAddress())
            .i64(size)
            .i64(topK)
            .f64(temperature)
            .f64(topP)
            .f64(uniform)
            .i64(blocks);
    survey.launch(stream, blocks, 1, 1, SURVEY_BLOCK, 0, arguments);
    if (temperature != 0) weigh.launch(stream, blocks, 1, 1, SURVEY_BLOCK, 0, arguments);
    choose.launch(stream, 1, 1, 1, CHOOSE_BLOCK, 0, arguments);
    return late.awaitToken(stream);
  }
}
