package org.winnow.cuda;

import org.winnow.internal.SamplerArguments;
import org.winnow.internal.Status;

/**
 * Launches sampler_cuda.cu: one kernel penalises the tokens seen, if there are any, one finds the
 * largest logit, one computes weights, and one block of the last chooses.
 */
final class CudaSampler {
  private static final int LOGITS_PER_BLOCK = 2048;
  private static final int MAX_BLOCKS = 1024;

  private final Kernel penalise;
  private final Kernel survey;
  private final Kernel weigh;
  private final Kernel choose;
  private final LateRefusals late; // its cells include the token
  private final Scratch scratch; // [blocks] Survey, [vocabularySize] u64 weights, then f32 logits

  CudaSampler(CudaContext context, CudaMemory memory, LateRefusals late) {
    penalise = context.kernel("sampler", "sampler_penalise");
    survey = context.kernel("sampler", "sampler_survey");
    weigh = context.kernel("sampler", "sampler_weigh");
    choose = context.kernel("sampler", "sampler_choose");
    this.late = late;
    scratch = new Scratch(context, memory);
  }

  /** Waits for the token. Throws if an operation since the last call has refused its input. */
  Status launch(CudaStream stream, SamplerArguments arguments) {
    long size = arguments.vocabularySize();
    boolean weighs = arguments.temperature() != 0;
    boolean penalises = arguments.numSeen() != 0;
    int blocks = (int) Math.min((size + LOGITS_PER_BLOCK - 1) / LOGITS_PER_BLOCK, MAX_BLOCKS);
    long surveysBytes = (long) blocks * SamplerLaunch.SURVEY_BYTES;
    long weightsBytes = weighs ? size * Long.BYTES : 0;
    long surveys =
        scratch.address(surveysBytes + weightsBytes + (penalises ? size * Float.BYTES : 0));
    KernelArguments packed =
        SamplerLaunch.samplerExtras(
            stream.arguments().of(arguments),
            surveys + surveysBytes + weightsBytes,
            surveys + surveysBytes,
            surveys,
            late.tokenAddress(),
            blocks);
    if (penalises) penalise.launch(stream, blocks, 1, 1, SamplerLaunch.SURVEY_THREADS, 0, packed);
    survey.launch(stream, blocks, 1, 1, SamplerLaunch.SURVEY_THREADS, 0, packed);
    if (weighs) weigh.launch(stream, blocks, 1, 1, SamplerLaunch.SURVEY_THREADS, 0, packed);
    choose.launch(stream, 1, 1, 1, SamplerLaunch.CHOOSE_THREADS, 0, packed);
    long token = late.awaitToken(stream);
    arguments.detail(token < 0 ? -1 - token : token); // SamplerExtras::result
    return token < 0 ? Status.REFUSED : Status.DONE;
  }
}
