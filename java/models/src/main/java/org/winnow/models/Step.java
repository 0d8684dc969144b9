package org.winnow.models;

import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.op.KvCache;

/**
 * What all layers of one step share.
 *
 * @param cache the sequence; the step's tokens follow its length
 * @param tokenIds [numTokens] i32
 * @param cos [numTokens, numPairs] f32, cosines of the rotary angles at the step's positions
 * @param sin [numTokens, numPairs] f32, sines of the same angles
 * @param residual [numTokens, hiddenSize] f32: the residual stream
 * @param normalised [numTokens, hiddenSize] f32: the input of a block
 * @param branch [numTokens, hiddenSize] f32: the output of a block, which is added to the residual
 *     stream
 */
record Step(
    Backend backend,
    KvCache cache,
    Tensor tokenIds,
    Tensor cos,
    Tensor sin,
    Tensor residual,
    Tensor normalised,
    Tensor branch) {}
