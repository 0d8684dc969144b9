/** Checkpoints, tokenizers, decoder families and generation. */
package org.winnow.models;
