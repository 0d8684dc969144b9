/** Checkpoints, tokenizers, decoder families and generation. */
@NullMarked
package org.winnow.models;

import org.jspecify.annotations.NullMarked;
