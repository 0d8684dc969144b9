/**
 * Attention over a paged key-value cache, and what it needs: rotary embedding, the cache, latent
 * attention.
 */
package org.winnow.attention;

import org.winnow.op.Attention;