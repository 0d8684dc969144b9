package org.winnow.models;

import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.op.KvCache;

/**
 * What all layers of one step share.
 *
 * @param cache the sequence; the step's tokens follow its length
 * @param tokenIds [numTokens] i32
 * @param cos [numTokens, numPairs] f32 of the step's positions
 * @param sin of the same shape
 * @param residual [numTokens, hiddenSize] f32: the residual stream
 * @param normalised of the same shape: what a block reads
 * @param branch of the same shape: what a block adds
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
