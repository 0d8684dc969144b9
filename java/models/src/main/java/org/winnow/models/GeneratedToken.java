package org.winnow.models;

import org.jspecify.annotations.Nullable;

/**
 * A new token of a generation.
 *
 * @param id the token
 * @param text the text that this token completes, as far as it is before a stop text; empty while a
 *     character is incomplete, for a special token, and if the model has no tokenizer
 * @param logprobs log probabilities, or null if {@link GenerateOptions#logprobs()} asks for none
 */
public record GeneratedToken(int id, String text, @Nullable TokenLogprobs logprobs) {}
