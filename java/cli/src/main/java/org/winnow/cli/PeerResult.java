package org.winnow.cli;

/**
 * One line of a peer's results.
 *
 * @param test such as {@code "pp512"}
 * @param threads that computed; 0 if the peer does not say
 * @param tokensPerSecond the mean of its runs, a positive number
 */
record PeerResult(String test, int threads, double tokensPerSecond) {}
