package org.winnow.models;

import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.attention.KvCache;

/**
 * What all layers of one step share.
 *
 * @param cache the sequence; the step's tokens follow its length
 * @param cos [numTokens, numPairs] f32 of the step's positions
 * @param sin of the same shape
 */
record Step(Backend backend, KvCache cache, Tensor cos, Tensor sin) {}
