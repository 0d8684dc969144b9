/**
 * Mixtures of experts: choosing them, sorting tokens by them, multiplying, adding up, and {@link
 * org.winnow.moe.MoeLayer} which is all of that.
 */
package org.winnow.moe;
