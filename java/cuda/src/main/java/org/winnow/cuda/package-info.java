/** The CUDA backend: handwritten kernels, launched through the driver API. */
@NullMarked
package org.winnow.cuda;

import org.jspecify.annotations.NullMarked;
