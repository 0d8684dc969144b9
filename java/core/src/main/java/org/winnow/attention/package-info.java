/** Multi-head latent attention, and the frequencies of rotary embeddings. */
@NullMarked
package org.winnow.attention;

import org.jspecify.annotations.NullMarked;
