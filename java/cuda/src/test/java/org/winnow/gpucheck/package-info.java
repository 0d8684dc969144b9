/**
 * Checks and measures a GPU on a machine with nothing but its driver. {@link
 * org.winnow.gpucheck.GpuCheck} runs the parts, each in a process of its own; they write their
 * results line by line, so that a part which is stopped or crashes leaves what it had.
 */
package org.winnow.gpucheck;
