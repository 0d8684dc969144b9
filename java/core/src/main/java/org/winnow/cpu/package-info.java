/** The CPU backend, its instruction sets and the measured limits of the machine. */
@NullMarked
package org.winnow.cpu;

import org.jspecify.annotations.NullMarked;
