package org.winnow.cuda;

import org.winnow.internal.SamplerArguments;
import org.winnow.internal.Status;

/** Launches sampler_cuda.cu: the best logit, the weights, then one block that chooses. */
final class CudaSampler {
  private static final int LOGITS_PER_BLOCK = 2048;
  private static final int MAX_BLOCKS = 1024;

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

  /** Waits for the token; throws what was refused since the last call. */
  Status launch(CudaStream stream, SamplerArguments arguments) {
    long size = arguments.vocabularySize();
    boolean weighs = arguments.temperature() != 0;
    int blocks = (int) Math.min((size + LOGITS_PER_BLOCK - 1) / LOGITS_PER_BLOCK, MAX_BLOCKS);
    long surveysBytes = (long) blocks * SamplerLaunch.SURVEY_BYTES;
    long surveys = scratch.address(surveysBytes + (weighs ? size * Long.BYTES : 0));
    KernelArguments packed =
        SamplerLaunch.samplerExtras(
            stream.arguments().of(arguments),
            surveys + surveysBytes,
            surveys,
            late.tokenAddress(),
            blocks);
    survey.launch(stream, blocks, 1, 1, SamplerLaunch.SURVEY_THREADS, 0, packed);
    if (weighs) weigh.launch(stream, blocks, 1, 1, SamplerLaunch.SURVEY_THREADS, 0, packed);
    choose.launch(stream, 1, 1, 1, SamplerLaunch.CHOOSE_THREADS, 0, packed);
    long token = late.awaitToken(stream);
    arguments.detail(token < 0 ? -1 - token : token); // SamplerExtras::result
    return token < 0 ? Status.REFUSED : Status.DONE;
  }
}
