/** The CUDA backend: handwritten kernels, launched through the driver's API. */
package org.winnow.cuda;
