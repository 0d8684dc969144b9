/**
 * Mixture-of-experts layers: {@link org.winnow.moe.MoeLayer} routes tokens to experts, runs the
 * experts and adds up their outputs; {@link org.winnow.moe.Experts} provides the weights.
 */
@NullMarked
package org.winnow.moe;

import org.jspecify.annotations.NullMarked;
